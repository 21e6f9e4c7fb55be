"""How an entry stands in a tar archive: one row of bytes for each, so that the same tree gives the same archive,
and so that a reader need not understand a header to hold it against the manifest.

ustar, with a pax header for what does not fit there, in the keys that bsdtar writes. Source: tar(5),
libarchive-formats(5). Owners are numbers alone. Pure.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

from reconciler.packages.tree import Entry, key

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends an archive."""
MANIFEST = "+MANIFEST"
"""The first member: the manifest. It is a compressed stream of its own, so that the rest is an archive too."""
_FLAGS = {"file": b"0", "directory": b"5", "symlink": b"2", "fifo": b"6"}
_OCTAL_ID = 0o7777777
_OCTAL_SIZE = 0o77777777777


def header(entry: Entry, stamp: int) -> bytes:
    """All that stands before an entry's content. `stamp` (s) is the time of what has none of its own."""
    linked = entry.type == "file" and not entry.has_content
    path = key(entry.path) + (b"/" if entry.type == "directory" else b"")
    target = key(entry.links if linked else entry.target)
    size = entry.size if entry.has_content else 0
    mtime = entry.mtime if entry.type == "file" else stamp
    records = _records(entry, path, target, size, mtime)
    extended = b""
    if records:
        content = b"".join(_record(name, value) for name, value in sorted(records.items()))
        extended = _block(b"././@PaxHeader", b"x", 0o644, 0, 0, len(content), 0, b"") + padded(content)
    flag = b"1" if linked else _FLAGS[entry.type]
    return extended + _block(_short(path), flag, entry.mode, entry.uid, entry.gid, size, mtime, _short(target))


def manifest_header(size: int) -> bytes:
    """What stands before a manifest of that many bytes."""
    return _block(MANIFEST.encode(), b"0", 0o644, 0, 0, size, 0, b"")


def padding(size: int) -> int:
    """Zeros that follow a content of that many bytes."""
    return -size % BLOCK


def padded(content: bytes) -> bytes:
    """Content, up to the next block."""
    return content + bytes(padding(len(content)))


def stamp(entries: tuple[Entry, ...]) -> int:
    """The time (s) given to folders, links and pipes: that of the newest file."""
    return max((entry.mtime for entry in entries), default=0)


def _records(entry: Entry, path: bytes, target: bytes, size: int, mtime: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    if not _fits(path):
        found[b"path"] = path
    if not _fits(target):
        found[b"linkpath"] = target
    if any(not _is_utf8(text) for text in found.values()):
        found[b"hdrcharset"] = b"BINARY"
    for name, number, most in (
        (b"uid", entry.uid, _OCTAL_ID),
        (b"gid", entry.gid, _OCTAL_ID),
        (b"size", size, _OCTAL_SIZE),
        (b"mtime", mtime, _OCTAL_SIZE),
    ):
        if number > most:
            found[name] = b"%d" % number
    if entry.links in ("", entry.path):
        found |= _marks(entry)
    return found


def _marks(entry: Entry) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    if entry.flags:
        found[b"SCHILY.fflags"] = ",".join(entry.flags).encode()
    if entry.acl:
        found[b"SCHILY.acl.ace"] = entry.acl.encode()
    for name, value in entry.xattrs:
        # libarchive writes no padding, and takes any.
        found[b"LIBARCHIVE.xattr." + quote(name, safe=".").encode()] = base64.b64encode(value).rstrip(b"=")
    return found


def _fits(text: bytes) -> bool:
    return len(text) <= 100 and text.isascii()


def _short(text: bytes) -> bytes:
    """The text, or something readable for what stands in full in the pax header."""
    return text if _fits(text) else bytes(byte if byte < 0x80 else 0x5F for byte in text[:99])


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _record(name: bytes, value: bytes) -> bytes:
    """`LENGTH NAME=VALUE` and a line end; the length counts itself."""
    rest = len(name) + len(value) + 3
    length = rest + len(str(rest))
    if rest + len(str(length)) != length:
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, name, value)


def _block(name: bytes, flag: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, target: bytes) -> bytes:
    head = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % (uid if uid <= _OCTAL_ID else 0),
            b"%07o\0" % (gid if gid <= _OCTAL_ID else 0),
            b"%011o\0" % (size if size <= _OCTAL_SIZE else 0),
            b"%011o\0" % (mtime if mtime <= _OCTAL_SIZE else 0),
        )
    )
    tail = flag + target.ljust(100, b"\0") + b"ustar\x0000" + bytes(64) + b"%07o\0" % 0 + b"%07o\0" % 0 + bytes(167)
    total = sum(head) + sum(tail) + 8 * 0x20
    return head + b"%06o\0 " % total + tail
