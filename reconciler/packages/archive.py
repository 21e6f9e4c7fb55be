"""What an archive may hold: checked whole, in one pass, before a host is given any of it.

Names are judged as bytes, component by component, without looking at any file system. Refused are
names that are absolute, have `..` or lie below a symlink or a file; hard links to what is not a file
of the same archive; relative symlinks that climb out; devices; a name that changes what it is; and
whatever is past `Limits`. An absolute symlink is fine: inside the root it means the root. The archive is still
unpacked with `tar -p` without `-P` into a tree of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.compression import expand
from reconciler.packages.tar import Member, TarReader, too_large

_CAPTURE_LIMIT = 256 * 1024
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an archive. `content` and `stream` are in bytes: of all files as unpacked (holes
    included), and of the expanded tar stream; `names` of all names together. `members` counts the
    folders that names imply too. `fifos` says whether named pipes are allowed."""

    members: int = 500_000
    content: int = 64 * _GIB
    stream: int = 64 * _GIB
    name: int = 1023
    component: int = 255
    depth: int = 128
    names: int = 128 * 1024**2
    fifos: bool = False


SET = Limits(content=16 * _GIB, stream=16 * _GIB)
"""A distribution set; src, the largest, has about 100 000 members and 1.5 GB."""
PACKAGE = Limits(fifos=True)
"""A jail package: what an installation left."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a checked archive holds. `content` is in bytes; `captured` has the files asked for, by name."""

    members: int
    content: int
    compression: str
    captured: Mapping[str, bytes] = field(default_factory=dict)


def check_archive(file: IO[bytes], limits: Limits, capture: Collection[str] = ()) -> Summary:
    """Walk an archive from where the file is to its end, and refuse a hostile or damaged one.

    `capture` names small files (`bin/freebsd-version`) whose content is kept. Raises FetchError:
    `archive-hostile` (which member, and why), `archive-too-large`, `archive-malformed`,
    `archive-compression`.
    """
    compression, pieces = expand(file)
    return check_members(pieces, compression, limits, capture)


def check_members(pieces: Iterator[bytes], compression: str, limits: Limits, capture: Collection[str] = ()) -> Summary:
    """The same for an archive that comes expanded, in pieces; all of them are taken."""
    reader = TarReader(pieces, limits.stream)
    tree = Unpacked(limits)
    captured: dict[str, bytes] = {}
    while (member := reader.next()) is not None:
        path = tree.add(member)
        name = path.decode("utf-8", "surrogateescape")
        captured.pop(name, None)
        if name in capture and member.kind == "file" and member.size == member.stored <= _CAPTURE_LIMIT:
            captured[name] = reader.read(member)
        else:
            reader.skip(member)
    if not tree.members:
        raise hostile(b"", "it has no members")
    return Summary(tree.members, tree.content, compression, captured)


def first_of(file: IO[bytes], limits: Limits, name: str) -> bytes:
    """The content of the first small file of a name; b"" where there is none. What is before it is judged.

    Raises FetchError as `check_archive`.
    """
    _, pieces = expand(file)
    reader = TarReader(pieces, limits.stream)
    tree = Unpacked(limits)
    while (member := reader.next()) is not None:
        path = tree.add(member).decode("utf-8", "surrogateescape")
        if path == name and member.kind == "file" and member.size == member.stored <= _CAPTURE_LIMIT:
            return reader.read(member)
        reader.skip(member)
    return b""


class Unpacked:
    """What unpacking would have made so far: the kind of each path, without `.` and doubled slashes.

    Raises FetchError: `archive-hostile`, `archive-too-large`.
    """

    def __init__(self, limits: Limits) -> None:
        """Nothing is there yet."""
        self._limits = limits
        self.kinds: dict[bytes, str] = {b"": "directory"}
        self._names = 0
        self.members = 0
        self.content = 0

    def add(self, member: Member) -> bytes:
        """Judge one member and remember it; gives its path."""
        self.members += 1
        self.content += member.size
        if self.content > self._limits.content:
            raise too_large(f"Its files would take more than {self._limits.content} bytes.")
        path = self.path(member.name, member.name)
        self._make_parents(path, member.name)
        kind = self._judge(path, member)
        before = self.kinds.get(path)
        # tar itself replaces a file by a later one of the same name (METALOGs list some twice).
        again = before == kind == member.kind and kind in ("directory", "file")
        if before is not None and not again:
            raise hostile(member.name, "the name is used twice")
        self._remember(path, kind)
        return path

    def _remember(self, path: bytes, kind: str) -> None:
        self.kinds[path] = kind
        self._names += len(path)
        if max(self.members, len(self.kinds)) > self._limits.members or self._names > self._limits.names:
            raise too_large(f"It has more than {self._limits.members} members, or too long names.")

    def _judge(self, path: bytes, member: Member) -> str:
        """What the member would be on disk, where it may be at all."""
        if member.kind == "device":
            raise hostile(member.name, "it is a device")
        if member.kind == "fifo" and not self._limits.fifos:
            raise hostile(member.name, "it is a named pipe")
        if member.kind != "directory" and member.name.rpartition(b"/")[2] in (b"", b"."):
            raise hostile(member.name, "it has the name of a directory and is none")
        if member.kind == "symlink":
            self._check_symlink(path, member)
        if member.kind == "hardlink":
            return self._linked(member)
        return member.kind

    def path(self, text: bytes, name: bytes) -> bytes:
        """A name without what says nothing, judged by itself; `name` is what to call it where it is refused."""
        if text.startswith(b"/"):
            raise hostile(name, "an absolute name")
        if not text or len(text) > self._limits.name:
            raise hostile(name, "a name that is empty or too long")
        parts = [part for part in text.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise hostile(name, "a name with ..")
        if any(len(part) > self._limits.component for part in parts):
            raise hostile(name, "a part of a name that is too long")
        if len(parts) > self._limits.depth:
            raise hostile(name, "a name with too many parts")
        return b"/".join(parts)

    def _make_parents(self, path: bytes, name: bytes) -> None:
        """Nothing is written through a symlink, nor below a file. Tar makes parents that are left out."""
        missing = []
        parent = path
        while parent:
            parent = parent.rpartition(b"/")[0]
            kind = self.kinds.get(parent)
            if kind == "directory":
                break
            if kind is not None:
                raise hostile(name, f"it lies below a {kind}")
            missing.append(parent)
        for parent in missing:
            self._remember(parent, "directory")

    def _check_symlink(self, path: bytes, member: Member) -> None:
        target = member.target
        if not target or len(target) > self._limits.name:
            raise hostile(member.name, "a symlink whose target is empty or too long")
        if target.startswith(b"/"):
            return
        depth = path.count(b"/")
        for part in target.split(b"/"):
            depth += -1 if part == b".." else part not in (b"", b".")
            if depth < 0:
                raise hostile(member.name, "a symlink that leaves the tree")

    def _linked(self, member: Member) -> str:
        """A hard link is what it links to: a file (or symlink) that this archive made before."""
        kind = self.kinds.get(self.path(member.target, member.name))
        if kind is None:
            raise hostile(member.name, "a hard link to what is not in the archive before it")
        if kind == "directory":
            raise hostile(member.name, "a hard link to a directory")
        return kind


def hostile(name: bytes, reason: str) -> FetchError:
    """The error of an archive that would do harm: by which member, and how."""
    return FetchError(
        Diagnostic(
            "archive-hostile",
            "The archive would write outside its place, or cannot be unpacked safely",
            f"Member {name[:120]!r}: {reason}. Nothing of it is used.",
            "Do not use this archive; ask where it comes from.",
        )
    )
