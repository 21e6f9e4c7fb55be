"""What was read before, by content: a run on unchanged specs parses and checks nothing.

One JSON file per spec folder, in a folder that only its owner can write. It holds plain values of valid
documents by SHA256 of their file, and for whole trees that had no error their warnings and the paths
that were looked for. Another version of the tool's code reads nothing of it. A cache that is missing,
damaged or not ours is the same as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from reconciler import __version__
from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.assemble import assemble
from reconciler.spec.files import Tree, look
from reconciler.spec.specset import Source, Sourced, SpecSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from reconciler.spec.examine import Examined

MAX_SIZE = 512 * 1024 * 1024
Documents = list[tuple[str, dict[str, Any]]]


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """Where the command line keeps it: below XDG_CACHE_HOME, else ~/.cache; None without either."""
    home = environment.get("XDG_CACHE_HOME") or (
        environment.get("HOME") and os.path.join(environment["HOME"], ".cache")
    )
    return Path(home) / "reconciler" / "specs" if home and os.path.isabs(home) else None


@dataclass
class Cache:
    """What is remembered of one spec folder. `files` goes by SHA256 of a file, `trees` by digest."""

    files: dict[str, Documents] = field(default_factory=dict)
    trees: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, root: Path) -> Cache:
        """Read what is remembered of `root`; empty where nothing can be trusted or read."""
        try:
            held = json.loads(read_private(folder, _name(root)))
            if held["code"] == code_digest():
                return cls(held["files"], held["trees"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        return cls()

    def documents(self, source: Source) -> list[tuple[str, Sourced[Any]]] | None:
        """The documents of a file that was valid before, or None."""
        held = self.files.get(source.sha256)
        if held is None:
            return None
        return [
            (kind, Sourced(source, index, raw, partial(_build, kind, raw))) for index, (kind, raw) in enumerate(held)
        ]

    def whole(self, tree: Tree) -> SpecSet | None:
        """The SpecSet of a tree that had no error before, and that still has every file it names."""
        held = self.trees.get(_key(tree))
        if held is None or tree.problems or not tree.sources:
            return None
        area = str(tree.area)
        if not all(look(os.path.normpath(tree.root / path), area) == (True, True) for path in held["looks"]):
            return None
        found: list[tuple[str, Sourced[Any]]] = []
        for source in tree.sources:
            documents = self.documents(source)
            if documents is None:
                return None
            found += documents
        return assemble(tree, found, tuple(_warning(item) for item in held["warnings"]))

    def save(self, folder: Path, tree: Tree, examined: Examined) -> None:
        """Remember a tree without errors. Fails silently: a cache is never needed."""
        files = {
            digest: [(kind, item.raw) for kind, item in read.found]
            for digest, read in examined.reads.items()
            if not read.problems
        }
        looks = [os.path.relpath(path, tree.root) for path in examined.looks]
        entry = {"warnings": [_plain(problem) for problem in examined.problems], "looks": looks}
        held = {"code": code_digest(), "files": files, "trees": {_key(tree): entry}}
        with contextlib.suppress(ValueError, RecursionError):
            write_private(folder, _name(tree.root), json.dumps(held, separators=(",", ":")).encode())


def code_digest() -> str:
    """What the remembered answers depend on beside the specs: the version and files of this package."""
    folder = os.path.dirname(__file__)
    marks = [__version__]
    for below in (folder, os.path.join(folder, "rules")):
        with contextlib.suppress(OSError), os.scandir(below) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    marks.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()


def _build(kind: str, raw: Mapping[str, Any]) -> Any:
    from reconciler.spec.examine import build

    return build(kind, raw)


def _key(tree: Tree) -> str:
    """A tree, with the names its files were given by: warnings and places say them."""
    given = tree.sources[0].file if tree.sources else ""
    return f"{tree.digest} {tree.is_folder} {os.path.relpath(tree.area, tree.root)} {given}"


def _name(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:32] + ".json"


def _plain(problem: Diagnostic) -> list[Any]:
    span = problem.span or Span("")
    return [problem.code, problem.summary, problem.detail, problem.hint, span.file, span.line, span.column]


def _warning(item: list[Any]) -> Diagnostic:
    code, summary, detail, hint, file, line, column = item
    return Diagnostic(code, summary, detail, hint, Span(file, line, column) if file else None, "warning")


def _trusted(status: os.stat_result) -> bool:
    """Whether only its owner, who we are, can have written it."""
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o022


def read_private(folder: Path, name: str) -> bytes:
    """A file that only we can have written. Raises OSError for any other."""
    if not _trusted(os.lstat(folder)):
        raise PermissionError(folder)
    descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _trusted(status) or status.st_size > MAX_SIZE:
            raise PermissionError(name)
        return stream.read()


def write_private(folder: Path, name: str, data: bytes) -> None:
    """Write by rename, so that a reader never sees half of it. Where that fails there is just no cache."""
    with contextlib.suppress(OSError):
        _write(folder, name, data)


def _write(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or not _trusted(status):
        raise PermissionError(folder)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, folder / name)
    except BaseException:
        os.unlink(temporary)
        raise
