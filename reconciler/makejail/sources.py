"""Where the language reads files from: a port, so that everything else here stays pure."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["file", "directory", "link"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree. `path` is relative to the tree's top ("" is the top itself),
    `mode` the permission bits, `content` the data or the link's target."""

    path: str
    kind: Kind
    mode: int
    content: bytes = b""


class Sources(Protocol):
    """Read access to the machine on which the tool runs. Paths are absolute."""

    def read(self, path: str) -> bytes | None:
        """Return the file's data; None when it is missing or no file."""

    def realpath(self, path: str) -> str:
        """Return the absolute path without links and dots."""

    def isdir(self, path: str) -> bool:
        """Say whether `path` is a directory (links are followed)."""

    def walk(self, path: str) -> Iterable[Entry] | None:
        """Return `path` and all below it, links not followed; None when it is missing."""


def tree_digest(sources: Sources, path: str, without: Collection[str] = ()) -> str | None:
    """Return the SHA256 (hex) over names, kinds, modes and data of a tree; None when missing.

    `without` are relative paths that do not count. Owners and times are left out: a fresh
    checkout of the same commit must give the same digest.
    """
    entries = sources.walk(path)
    if entries is None:
        return None
    whole = hashlib.sha256()
    for entry in sorted(entries, key=lambda found: found.path):
        if entry.path in without:
            continue
        data = hashlib.sha256(entry.content).hexdigest()
        head = f"{entry.kind} {entry.mode:o} {data} "
        whole.update(head.encode() + entry.path.encode("utf-8", "surrogateescape") + b"\0")
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class OneText:
    """Sources that hold one file; `copied` has the others, for COPY alone."""

    name: str
    text: str
    copied: Sources | None = None
    included: Set[str] = frozenset()

    def read(self, path: str) -> bytes | None:
        """Return the text when `path` is its name, and what a method of including gave."""
        if path in self.included and self.copied is not None:
            return self.copied.read(path)
        return self.text.encode("utf-8", "surrogateescape") if path == self.name else None

    def realpath(self, path: str) -> str:
        """Return `path` without dots."""
        return posixpath.normpath(path)

    def isdir(self, path: str) -> bool:
        """There is no directory."""
        return False

    def walk(self, path: str) -> list[Entry] | None:
        """There is no tree."""
        return None
