"""Where the files of a tar archive are in it: names and places only, so that the content can stay where it is.

Reads what tar(1) of FreeBSD and of GNU write: ustar, with pax or GNU headers for what does not fit there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.spool import Index, at

_BLOCK = 512
_WINDOW = 1 << 18
Read = Callable[[int, int], bytes]


class Unreadable(ValueError):
    """It is no archive that is understood here."""


def index(read: Read, size: int) -> Index:
    """Regular files by name, `./` taken off; `read(offset, count)` gives bytes of it. Raises Unreadable."""
    found: Index = {}
    position, start, window = 0, 0, b""
    long = ""
    while position + _BLOCK <= size:
        if not start <= position <= start + len(window) - _BLOCK:
            start, window = position, read(position, _WINDOW)
        head = window[position - start : position - start + _BLOCK]
        if head[257:262] != b"ustar":
            if not head.strip(b"\0"):
                return found
            raise Unreadable(f"no header at {position}")
        length, kind, data = _number(head[124:136]), head[156:157], position + _BLOCK
        if kind in b"xL":
            long = _long(kind, read(data, length)) or long
        elif kind != b"g":
            name = long or _name(head)
            if kind in b"0\0":
                found[name] = at(data, length)
            elif kind == b"1" and (link := _text(head[157:257]).removeprefix("./")) in found:
                found[name] = found[link]
            elif kind not in b"123456":
                raise Unreadable(f"an entry of kind {kind!r}")
            long = ""
            if kind in b"123456":
                length = 0
        position = data + -(-length // _BLOCK) * _BLOCK
    raise Unreadable("it has no end")


def below(folder: str, whole: Index) -> Index:
    """The files below a folder, by path relative to it."""
    prefix = folder.strip("/") + "/"
    return {name[len(prefix) :]: part for name, part in whole.items() if name.startswith(prefix)}


def argv(folders: Sequence[str], without: str) -> tuple[str, ...]:
    """Write folders (absolute) to standard output, without files whose name begins with `without`."""
    return ("tar", "-cf", "-", "--exclude", f"*/{without}*", "-C", "/", *(f".{folder}" for folder in folders))


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError as error:
        raise Unreadable(f"a size reads {field!r}") from error


def _name(head: bytes) -> str:
    name = _text(head[:100])
    # The prefix is POSIX's; GNU has other things there, and another magic.
    prefix = _text(head[345:500]) if head[257:263] == b"ustar\0" else ""
    return (f"{prefix}/{name}" if prefix else name).removeprefix("./")


def _long(kind: bytes, data: bytes) -> str:
    """The name that an extra header gives to the entry after it; "" when it says nothing of it."""
    if kind == b"L":
        return _text(data).removeprefix("./")
    rest = data
    while rest.strip(b"\0"):
        count, _, _ = rest.partition(b" ")
        if not count.isdigit() or not 0 < int(count) <= len(rest):
            raise Unreadable("a pax header is broken")
        key, _, value = rest[len(count) + 1 : int(count) - 1].partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "surrogateescape").removeprefix("./")
        if key in {b"size", b"linkpath"} or key.startswith(b"GNU.sparse"):
            raise Unreadable(f"a pax header has {key!r}")
        rest = rest[int(count) :]
    return ""


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
