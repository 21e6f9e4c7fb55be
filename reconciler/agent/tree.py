"""A commit's files in a folder of ours: written from object names, bounded, without links.

Two folders take turns, so that the specs that are in force are never touched while others are looked at. What a folder
holds is known in memory only, and not while it is written: a new agent, or one whose disk was full, writes it anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.agent.git import Entry, Repository, unusable
from reconciler.model.diagnostic import Diagnostic, FetchError, Span

MAX_FILES = 200_000
MAX_FILE = 64 * 1024 * 1024
MAX_TOTAL = 1024**3
_AT_ONCE = 8 * 1024 * 1024
_SHOWN = 20
_FILES = ("100644", "100755", "100664")


@dataclass
class Checkout:
    """One folder. `commit` is what it holds, "" when that is not known; `skipped` what was left out and why."""

    folder: Path
    commit: str = ""
    files: int = 0
    size: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def there(self) -> bool:
        """Whether nobody has removed it since it was written."""
        return (self.folder / ".git").is_dir()

    def show(self, repository: Repository, sha: str) -> None:
        """Make the folder hold a commit. Raises FetchError (`tree-too-large`, `agent-folder`, ...)."""
        if self.commit == sha and self.there:
            return
        before, self.commit = self.commit, ""
        try:
            if before and self.there and repository.has(before):
                self._change(repository, list(repository.changes(before, sha)))
            else:
                self._anew(repository, list(repository.listing(sha)))
        except OSError as error:
            raise unusable(self.folder, error) from error
        self.commit = sha

    def warnings(self) -> tuple[Diagnostic, ...]:
        """What of the commit is not looked at."""
        return tuple(
            Diagnostic(
                "tree-entry-skipped",
                "Something in the repository is left out",
                f"{path} is {what}; only plain files are taken.",
                "Put a plain file there, or see that no spec needs it.",
                Span(path),
                "warning",
            )
            for path, what in sorted(self.skipped.items())[:_SHOWN]
        )

    def _anew(self, repository: Repository, entries: list[Entry]) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        (self.folder / ".git").mkdir(mode=0o700)  # paths in specs stay below a repository's root: this is one
        self.files = self.size = 0
        self.skipped = {}
        self._write(repository, self._taken(entries))

    def _change(self, repository: Repository, entries: list[Entry]) -> None:
        for entry in entries:
            self.skipped.pop(entry.path, None)
            if _refused(entry.path) is None:
                self._remove(entry.path)
        there = [entry for entry in entries if entry.oid]
        plain = [entry.oid for entry in there if entry.mode in _FILES]
        sizes = dict(zip(plain, repository.sizes(plain), strict=True))
        sized = (Entry(e.path, e.mode, e.oid, sizes.get(e.oid, 0)) for e in there)
        self._write(repository, self._taken(sized))

    def _taken(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The plain files, counted; everything else is set down as skipped."""
        for entry in entries:
            what = _refused(entry.path) or _KINDS.get(entry.mode, "of no kind that is known")
            if entry.size > MAX_FILE:
                what = f"larger than {MAX_FILE} bytes"
            if what:
                if len(self.skipped) < MAX_FILES:
                    self.skipped[entry.path] = what
                continue
            self.files += 1
            self.size += entry.size
            if self.files > MAX_FILES or self.size > MAX_TOTAL:
                detail = f"It has more than {MAX_FILES} files or {MAX_TOTAL} bytes."
                raise FetchError(Diagnostic("tree-too-large", "The commit is too large", detail))
            yield entry

    def _write(self, repository: Repository, entries: Iterable[Entry]) -> None:
        together: list[Entry] = []
        size = 0
        for entry in entries:
            if together and size + entry.size > _AT_ONCE:
                self._put(repository, together, size)
                together, size = [], 0
            together.append(entry)
            size += entry.size
        if together:
            self._put(repository, together, size)

    def _put(self, repository: Repository, entries: list[Entry], size: int) -> None:
        made: set[str] = set()
        for entry, data in zip(entries, repository.blobs([e.oid for e in entries], size), strict=True):
            place = os.path.join(self.folder, entry.path)
            folder = os.path.dirname(place)
            if folder not in made:
                os.makedirs(folder, mode=0o755, exist_ok=True)
                made.add(folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(place, flags, 0o755 if entry.mode == "100755" else 0o644)
            with open(descriptor, "wb") as file:
                file.write(data)

    def _remove(self, path: str) -> None:
        place = os.path.join(self.folder, path)
        try:
            size = os.lstat(place).st_size
            os.unlink(place)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        self.files -= 1
        self.size -= size
        parent = os.path.dirname(path)
        while parent:
            try:
                os.rmdir(os.path.join(self.folder, parent))
            except OSError:  # something is left in it
                return
            parent = os.path.dirname(parent)


_KINDS = dict.fromkeys(_FILES, "") | {"120000": "a symbolic link", "160000": "a submodule"}


def _refused(path: str) -> str | None:
    """Why a path is not written, None where it may be. git refuses most of these; a hostile remote may not."""
    parts = path.split("/")
    if len(parts) > 64 or len(os.fsencode(path)) > 1024:
        return "too deep or too long a path"
    if not path.isprintable():
        return "named with characters that are not printable"
    if any(part in ("", ".", "..") or part.lower() == ".git" or len(os.fsencode(part)) > 255 for part in parts):
        return "named as nothing may be named"
    return None
