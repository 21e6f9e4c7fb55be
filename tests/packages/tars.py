"""A builder of archives, good and evil, with every header field at the caller's will."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """One member as the archive states it."""

    name: str
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    data: bytes = b""
    pax: dict[str, str] = field(default_factory=dict)


def tar_of(items: Iterable[Item], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A plain tar archive of these members, with the usual end."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for item in items:
            member = tarfile.TarInfo(item.name)
            member.type, member.linkname, member.size = item.kind, item.target, len(item.data)
            member.mode = 0o755 if item.kind == tarfile.DIRTYPE else 0o644
            member.pax_headers = dict(item.pax)
            tar.addfile(member, io.BytesIO(item.data))
    return out.getvalue()


def folder(name: str) -> Item:
    """A directory."""
    return Item(name, tarfile.DIRTYPE)


def link(name: str, target: str) -> Item:
    """A symlink."""
    return Item(name, tarfile.SYMTYPE, target)


def hard(name: str, target: str) -> Item:
    """A hard link."""
    return Item(name, tarfile.LNKTYPE, target)


def header(name: bytes, flag: bytes = b"0", size: int = 0, magic: bytes = b"ustar\x0000") -> bytes:
    """One raw header block, its checksum right."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108], block[124:136] = b"0000644\0", b"%011o\0" % size
    block[156:157], block[257:265] = flag, magic
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    """Content up to the next block."""
    return data + bytes(-len(data) % 512)


END = bytes(1024)
