"""Reading tar headers strictly: what two readers could understand differently is refused.

The archive is checked here and unpacked by the host's bsdtar (libarchive), so this reader accepts only
what has one meaning: ustar, pax (bsdtar's own form, with GNU.sparse 1.0) and GNU long names.
Source: tar(5). Content is skipped, never kept, but for the few small files that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.model.diagnostic import Diagnostic, FetchError

_BLOCK = 512
_EXTENSION_LIMIT = 1024 * 1024
"""Bytes of one extended header: ACLs and extended attributes can be long."""
_KINDS: Final = {
    b"0": "file",
    b"\0": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "directory",
    b"6": "fifo",
}
_OCTAL = b"01234567"
_SPARSE = b"GNU.sparse."
_MARKED: Final = ((b"uid", 108, 116), (b"gid", 116, 124), (b"mtime", 136, 148))
"""Numbers that say something of a member, with their place in the header."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `size` is the bytes it would have when unpacked, `stored` those in the archive.

    `mtime` is in seconds; `marks` are the records of its pax header.
    """

    name: bytes
    kind: str
    size: int
    stored: int
    target: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    marks: Mapping[bytes, bytes] = field(default_factory=dict)


class TarReader:
    """Members of an expanded tar stream, in order. Every method raises FetchError (`archive-malformed`,
    `archive-too-large` past `limit` expanded bytes)."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        """Read these pieces; `limit` bounds the whole expanded stream, in bytes."""
        self._pieces = pieces
        self._buffer = b""
        self._at = 0
        self._limit = limit
        self.read_bytes = 0

    def next(self) -> Member | None:
        """The next member, None at the end; the content of the last one must have been taken or skipped."""
        extra: dict[bytes, bytes] = {}
        seen: set[bytes] = set()
        while True:
            block = self._take(_BLOCK)
            if block == bytes(_BLOCK):
                if seen:
                    raise malformed("An extended header is followed by no member.")
                self._end()
                return None
            _check_sum(block)
            flag = block[156:157]
            if flag not in b"xgLK" or flag == b"":
                return _member(block, flag, extra, seen)
            if flag in seen or (seen and (b"x" in seen or flag == b"x")):
                raise malformed("A member has more than one extended header of a kind.")
            content = self._content(_number(block[124:136]))
            if flag == b"g":
                if set(_pax(content)) - {b"comment"}:
                    raise malformed("It has a global extended header.")
                continue
            seen.add(flag)
            extra.update(_pax(content) if flag == b"x" else _long(flag, content))

    def skip(self, member: Member) -> None:
        """Pass over the content of a member."""
        left = -(-member.stored // _BLOCK) * _BLOCK
        while left:
            step = min(left, len(self._buffer) - self._at)
            self._at += step
            left -= step
            if left:
                self._more()

    def pieces(self, member: Member) -> Iterator[bytes]:
        """The content of a member as it comes; all of it must be taken."""
        left = member.stored
        while left:
            if self._at == len(self._buffer):
                self._more()
            piece = self._buffer[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            yield piece
        self._take(-member.stored % _BLOCK)

    def read(self, member: Member) -> bytes:
        """The content of a small member."""
        return self._content(member.stored)

    def _content(self, size: int) -> bytes:
        if size > _EXTENSION_LIMIT:
            raise malformed(f"A header or file that is read whole has {size} bytes.")
        return self._take(-(-size // _BLOCK) * _BLOCK)[:size]

    def _take(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            self._more()
        start = self._at
        self._at += size
        return self._buffer[start : self._at]

    def _more(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise malformed("It ends in the middle, or without the two empty blocks of an end.")
        self._count(piece)
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0

    def _count(self, piece: bytes) -> None:
        self.read_bytes += len(piece)
        if self.read_bytes > self._limit:
            raise too_large(f"It expands to more than {self._limit} bytes.")

    def _end(self) -> None:
        """Behind the end there are only zeros: a reader that goes on must find nothing."""
        rest = self._buffer[self._at :]
        while True:
            if rest.strip(b"\0"):
                raise malformed("Something follows its end.")
            rest = next(self._pieces, b"")
            if not rest:
                return
            self._count(rest)


def _member(block: bytes, flag: bytes, extra: dict[bytes, bytes], seen: set[bytes]) -> Member:
    kind = _KINDS.get(flag)
    if kind is None:
        raise malformed(f"It has a member of type {flag!r}, which is not supported.")
    magic = block[257:265]
    if magic not in (b"ustar\x0000", b"ustar  \0"):
        raise malformed("A header is neither ustar, pax nor GNU.")
    if magic == b"ustar  \0" and b"x" in seen:
        raise malformed("A member mixes GNU and pax headers.")
    name = _text(block[0:100])
    prefix = _text(block[345:500]) if magic == b"ustar\x0000" else b""
    name = prefix + b"/" + name if prefix else name
    stored = _decimal(extra[b"size"]) if b"size" in extra else _number(block[124:136])
    size = stored
    if any(key.startswith(_SPARSE) for key in extra):
        name, size = _sparse(kind, extra)
    elif b"path" in extra:
        name = extra[b"path"]
    if kind != "file" and stored:
        raise malformed("A member that is no file has content.")
    target = extra.get(b"linkpath", _text(block[157:257]))
    size = max(size, stored, _decimal(extra.get(b"SCHILY.realsize", b"0")))
    uid, gid, mtime = (_marked(block, extra, *field_) for field_ in _MARKED)
    return Member(name, kind, size, stored, target, _number(block[100:108]), uid, gid, mtime, extra)


def _marked(block: bytes, extra: Mapping[bytes, bytes], key: bytes, start: int, end: int) -> int:
    """A number that the pax header may say in place of the header; what lies before 1970, or zero, is 0."""
    if key not in extra:
        return 0 if block[start] == 0xFF else _number(block[start:end])
    whole, _, _fraction = extra[key].partition(b".")
    return 0 if whole.startswith(b"-") else _decimal(whole)


def _sparse(kind: str, extra: dict[bytes, bytes]) -> tuple[bytes, int]:
    """Name and real size of a file with holes, in the one form that bsdtar writes."""
    form = (extra.get(b"GNU.sparse.major"), extra.get(b"GNU.sparse.minor"))
    name, size = extra.get(b"GNU.sparse.name"), extra.get(b"GNU.sparse.realsize")
    if kind != "file" or form != (b"1", b"0") or name is None or size is None:
        raise malformed("It has a file with holes in an old form.")
    return name, _decimal(size)


def _check_sum(block: bytes) -> None:
    """The sum of all bytes of a header, its own field counted as spaces."""
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 0x20:
        raise malformed("A header has a wrong checksum.")


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or base 256 for what is too large."""
    if field[:1] == b"\x80":
        return _bounded(int.from_bytes(field[1:], "big"))
    digits = field.rstrip(b" \0").lstrip(b" ")
    if not digits:
        return 0
    if digits.translate(None, _OCTAL):
        raise malformed("A number in a header cannot be read.")
    return int(digits, 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise malformed("A number in an extended header cannot be read.")
    return _bounded(int(digits))


def _bounded(number: int) -> int:
    if number >= 1 << 62:
        raise malformed("A number in a header is too large.")
    return number


def _text(field: bytes) -> bytes:
    """A header's text, up to the first NUL."""
    return field.split(b"\0", 1)[0]


def _long(flag: bytes, content: bytes) -> dict[bytes, bytes]:
    text = content.removesuffix(b"\0")
    if not text or b"\0" in text:
        raise malformed("A long name cannot be read.")
    return {b"path" if flag == b"L" else b"linkpath": text}


def _pax(content: bytes) -> dict[bytes, bytes]:
    """Records of `LENGTH KEY=VALUE` and a line end. A key twice, or a NUL in a name, has two meanings."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 8)
        length = content[at:space] if space > 0 else b""
        if not length.isdigit() or not (record := content[space + 1 : at + int(length)]).endswith(b"\n"):
            raise malformed("An extended header cannot be read.")
        key, equals, value = record[:-1].partition(b"=")
        if not key or not equals or key in records:
            raise malformed("An extended header has an unreadable or repeated key.")
        if key in (b"path", b"linkpath", b"GNU.sparse.name") and (not value or b"\0" in value):
            raise malformed("An extended header has an unreadable name.")
        records[key] = value
        at += int(length)
    return records


def malformed(detail: str) -> FetchError:
    """The error of an archive that cannot be read in one way only."""
    return FetchError(Diagnostic("archive-malformed", "The archive cannot be read", detail, "Fetch or make it again."))


def too_large(detail: str) -> FetchError:
    """The error of an archive past its bounds."""
    summary = "The archive is larger than allowed"
    return FetchError(Diagnostic("archive-too-large", summary, detail, "Check where it comes from."))
