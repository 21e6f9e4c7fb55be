"""A tree from a tar stream, as tar(1) of a host or of a jail writes it: its entries, and their content set aside.

So a tree is read with the tools that lie beside it, over any connection, and nothing of a jail is walked from
outside. Write the stream with `tar --format pax -cf - ...` (bsdtar: flags, ACLs and extended attributes are in it).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from reconciler.cache import CHUNK
from reconciler.model.diagnostic import FetchError
from reconciler.packages.archive import PACKAGE, Limits, Unpacked, hostile
from reconciler.packages.tar import Member, TarReader, malformed
from reconciler.packages.tree import TOP, Entry, Type, fault, key, recorded_flags, regrouped, unrecordable
from reconciler.spool import Spool

_LIBARCHIVE, _SCHILY = b"LIBARCHIVE.xattr.", b"SCHILY.xattr."

_POSIX_ACL = (b"SCHILY.acl.access", b"SCHILY.acl.default")
_TYPES: Mapping[str, Type] = {"file": "file", "directory": "directory", "symlink": "symlink", "fifo": "fifo"}


@dataclass(frozen=True, slots=True)
class Captured:
    """A tree that was read, with the content of its files. `content` is what `write.write_package` asks for."""

    tree: Mapping[str, Entry]
    _spool: Spool = field(repr=False)
    _places: Mapping[str, tuple[int, int]] = field(repr=False)

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file, in pieces."""
        at, size = self._places[entry.path]
        while size:
            piece = self._spool.read(at, min(size, CHUNK))
            yield piece
            at += len(piece)
            size -= len(piece)


def capture(
    pieces: Iterable[bytes],
    limits: Limits = PACKAGE,
    *,
    wanted: Callable[[str], bool] = lambda _path: True,
    top: bool = False,
) -> Captured:
    """Read a plain tar stream to its end. What is not `wanted`, by its path, is passed over; and the folder that
    everything lies in, unless `top`.

    Raises FetchError: `package-unrecordable` with all that no package can hold, `archive-malformed`,
    `archive-hostile`, `archive-too-large`; and OSError where the content cannot be set aside.
    """
    reader, found = TarReader(iter(pieces), limits.stream), _Found(limits, top)
    while (member := reader.next()) is not None:
        found.add(member, reader, wanted)
    return found.result()


class _Found:
    """What has come so far."""

    def __init__(self, limits: Limits, top: bool) -> None:
        self._top = TOP if top else ""
        self._unpacked, self._spool = Unpacked(limits), Spool(summed=False)
        self._entries: dict[str, Entry] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._first: dict[str, str] = {}
        self._refused: list[tuple[str, str]] = []

    def add(self, member: Member, reader: TarReader, wanted: Callable[[str], bool]) -> None:
        if member.kind == "device":
            self._refused.append((_text(member.name), "a device"))
            return
        try:
            path = _text(self._unpacked.add(member)) or self._top
        except FetchError:
            if member.kind != "symlink":
                raise
            # A jail may have made it in good faith; whoever made the package is told which, not that it is hostile.
            self._refused.append((_text(member.name).removeprefix("./"), "a symbolic link that leads out of the tree"))
            return
        if not path or not wanted(path):
            reader.skip(member)
            return
        if member.kind == "hardlink":
            self._link(path, _text(self._unpacked.path(member.target, member.name)))
            return
        digest, at = "", self._spool.size
        if member.kind == "file":
            digest = self._take(member, reader)
            self._places[path] = (at, self._spool.size - at)
        self._entries[path] = _entry(path, member, digest)
        if any(mark in member.marks for mark in _POSIX_ACL):
            self._refused.append((path, "a POSIX.1e ACL; packages keep those of NFSv4, which ZFS has"))
        if reason := fault(self._entries[path]):
            self._refused.append((path, reason))

    def _take(self, member: Member, reader: TarReader) -> str:
        if member.size != member.stored:
            raise malformed("A file with holes is written as such; write the stream with --no-read-sparse.")
        digest = hashlib.sha256()
        for piece in reader.pieces(member):
            digest.update(piece)
            self._spool.write(piece)
        return digest.hexdigest()

    def _link(self, path: str, target: str) -> None:
        first = self._first.get(target, target)
        if first not in self._entries:
            raise hostile(key(path), "a hard link to what was not asked for")
        if self._entries[first].type == "file":
            self._first[path] = self._first[first] = first
        self._entries[path] = _renamed(self._entries[first], path)

    def result(self) -> Captured:
        if self._refused:
            raise unrecordable(self._refused)
        groups: dict[str, list[str]] = {}
        for path, first in self._first.items():
            groups.setdefault(first, []).append(path)
        tree = dict(self._entries)
        for path, links in regrouped(groups.values()).items():
            tree[path] = _linked(tree[path], links)
            if path == links:
                self._places[path] = self._places[self._first[path]]
        return Captured(tree, self._spool, self._places)


def _entry(path: str, member: Member, digest: str) -> Entry:
    is_file = member.kind == "file"
    return Entry(
        path,
        _TYPES[member.kind],
        member.mode & 0o7777,
        member.uid,
        member.gid,
        mtime=member.mtime if is_file else 0,
        size=member.size if is_file else 0,
        sha256=digest,
        target=_text(member.target) if member.kind == "symlink" else "",
        flags=recorded_flags(_flags(member.marks)),
        xattrs=tuple(sorted(_xattrs(member.marks))),
        acl=member.marks.get(b"SCHILY.acl.ace", b"").decode("ascii", "replace"),
    )


def _flags(marks: Mapping[bytes, bytes]) -> Iterator[str]:
    return (flag for flag in marks.get(b"SCHILY.fflags", b"").decode("ascii", "replace").split(",") if flag)


def _xattrs(marks: Mapping[bytes, bytes]) -> Iterator[tuple[str, bytes]]:
    """Libarchive writes each twice, in the other form under an encoded name; its own is taken where there is one."""
    own = {mark: value for mark, value in marks.items() if mark.startswith(_LIBARCHIVE)}
    for mark, value in marks.items():
        if not own and mark.startswith(_SCHILY):
            yield _text(mark[len(_SCHILY) :]), value
        elif mark in own:
            name = unquote(mark[len(_LIBARCHIVE) :].decode("ascii", "replace"), errors="surrogateescape")
            try:
                yield name, base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
            except binascii.Error as error:
                raise malformed("An extended attribute cannot be read.") from error


def _renamed(entry: Entry, path: str) -> Entry:
    return replace(entry, path=path)


def _linked(entry: Entry, links: str) -> Entry:
    return replace(entry, links=links)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
