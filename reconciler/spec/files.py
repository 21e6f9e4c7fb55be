"""The files of a spec folder: found, bounded, read. Symlinks never lead out of the tree."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.specset import Source

MAX_FILE = 16 * 1024 * 1024
MAX_TOTAL = 256 * 1024 * 1024
MAX_FILES = 100_000
_SUFFIXES = (".yaml", ".yml")
LOCK = "reconcile.lock"
BESIDE = "reconcile.lock.d"
_SKIPPED = frozenset({LOCK})


@dataclass(frozen=True, slots=True)
class Tree:
    """What was read below `root`; `area` is the folder that relative paths may not leave."""

    root: Path
    area: Path
    sources: tuple[Source, ...]
    problems: tuple[Diagnostic, ...]
    digest: str
    is_folder: bool


def read_tree(path: str | Path) -> Tree:
    """Read a spec file, or the `*.yaml` and `*.yml` below a folder. Never raises: see `problems`."""
    given = str(path)
    top = os.path.abspath(given)
    problems: list[Diagnostic] = []
    is_folder = os.path.isdir(top)
    root = top if is_folder else os.path.dirname(top)
    names = sorted(_walk(top, given, problems)) if is_folder else [os.path.basename(top)]
    whole = hashlib.sha256(b"reconciler specs 1\n")
    sources: list[Source] = []
    total = 0
    for name in names:
        file = os.path.join(given, name) if is_folder else given
        source = _read(os.path.join(root, name), file, root, MAX_TOTAL - total, problems)
        if source is not None:
            total += len(source.data)
            sources.append(source)
            whole.update(f"{name}\0{source.sha256}\n".encode("utf-8", "surrogateescape"))
    lock = read_lock(Path(given), [])
    if lock is not None:  # what it pins is part of what the specs say
        whole.update(f"{LOCK}\0{lock.sha256}\n".encode())
    at = Path(root)
    return Tree(at, find_area(at), tuple(sources), tuple(problems), whole.hexdigest(), is_folder)


def lock_folder(path: Path) -> Path:
    """The folder in which the lock of a spec file or folder lies."""
    return path if path.is_dir() else path.parent


def beside(path: Path) -> Path:
    """The folder beside the lock of a spec file or folder, where files lie that only it can give."""
    return lock_folder(path) / BESIDE


def read_lock(path: Path, problems: list[Diagnostic]) -> Source | None:
    """The lock beside specs, unparsed; None when there is none, or it cannot be read (`problems` says why)."""
    place = lock_folder(path) / LOCK
    full = os.path.abspath(place)
    if not os.path.lexists(full):
        return None
    return _read(full, str(place), os.path.dirname(full), MAX_FILE, problems)


def find_area(root: Path) -> Path:
    """The repository that holds a spec folder, else the folder's parent: relative paths stay below it."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return folder
    return root.parent


def look(wanted: str, area: str) -> tuple[bool, bool]:
    """Whether a path stays inside, links included, and is a regular file."""
    try:
        real, top = os.path.realpath(wanted), os.path.realpath(area)
        inside = os.path.commonpath([wanted, area]) == area and os.path.commonpath([real, top]) == top
        return inside, os.path.isfile(real)
    except (OSError, ValueError):
        return True, False


def _walk(top: str, given: str, problems: list[Diagnostic]) -> list[str]:
    """Names of spec files relative to `top`; hidden ones skipped, linked folders not entered."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(top, folder)) as entries:
                for entry in entries:
                    name = os.path.join(folder, entry.name) if folder else entry.name
                    if entry.name.startswith(".") or entry.name in _SKIPPED:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
                    elif entry.name.endswith(_SUFFIXES) and not os.path.isdir(entry.path):
                        found.append(name)  # a link that leads in a circle is no folder: reading it says what it is
        except OSError as error:
            problems.append(_unreadable(os.path.join(given, folder), error.strerror or str(error)))
        if len(found) > MAX_FILES:
            problems.append(_too_large(given, f"The folder holds more than {MAX_FILES:,} spec files."))
            return []
    return found


def _read(path: str, file: str, root: str, left: int, problems: list[Diagnostic]) -> Source | None:
    # O_NONBLOCK: a FIFO or a device put in place of a file must not hold us
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(path, flags | os.O_NOFOLLOW)
        except OSError:
            if not os.path.islink(path):
                raise
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                problems.append(_leaves(file, os.readlink(path)))
                return None
            descriptor = os.open(path, flags)
        try:
            return _read_open(descriptor, path, file, left, problems)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problems.append(_unreadable(file, words))
        return None


def _read_open(descriptor: int, path: str, file: str, left: int, problems: list[Diagnostic]) -> Source | None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        problems.append(_unreadable(file, "it is not a regular file"))
        return None
    limit = min(MAX_FILE, left)
    data = b""
    if status.st_size <= limit:
        while len(data) <= limit and (more := os.read(descriptor, max(status.st_size + 1 - len(data), 4096))):
            data += more
    if max(status.st_size, len(data)) > limit:
        whose = "The file is" if limit == MAX_FILE else "The files of this folder together are"
        size = MAX_FILE if limit == MAX_FILE else MAX_TOTAL
        problems.append(_too_large(file, f"{whose} larger than {size // 1024**2} MiB."))
        return None
    return Source(file, path, data, hashlib.sha256(data).hexdigest(), status.st_mtime)


def _unreadable(file: str, words: str) -> Diagnostic:
    hint = f"Check the path and its permissions: ls -l {shlex.quote(file)}"
    if file == "specs":  # what a command takes when nobody named a folder
        hint = "Go to the folder that holds your specs, or name theirs on the command line."
    return Diagnostic("unreadable-file", "File cannot be read", f"`{file}`: {words}.", hint, Span(file))


def _too_large(file: str, detail: str) -> Diagnostic:
    return Diagnostic("yaml-too-large", "File or folder too large", detail, "Split it, or move data out.", Span(file))


def _leaves(file: str, target: str) -> Diagnostic:
    detail = f"`{file}` is a link to `{target}`, which lies outside the spec folder."
    return Diagnostic("symlink-outside", "Link leads out of the tree", detail, "Put the file itself there.", Span(file))
