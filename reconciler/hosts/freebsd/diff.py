"""What `zfs diff` prints: its lines as changes."""

from __future__ import annotations

from reconciler.hosts.freebsd.failure import lines, text, unreadable
from reconciler.model.command import Completed
from reconciler.model.ports import Change


def parse_diff(completed: Completed) -> tuple[Change, ...]:
    r"""The changes of `zfs diff -FHt`: time, op, type, path and the new path of a rename.

    Bytes outside printable ASCII, spaces and backslashes come as a backslash and four octal digits.
    """
    changes = []
    for line in lines(completed.stdout):
        cells = line.split("\t")
        if len(cells) < 4 or cells[1] not in {"+", "-", "M", "R"}:
            raise unreadable(completed, f"a line is no change: {line[:200]!r}")
        renamed = unescape(cells[4]) if cells[1] == "R" and len(cells) > 4 else ""
        changes.append(Change(cells[1], cells[2], unescape(cells[3]), renamed))
    return tuple(changes)


def unescape(path: str) -> str:
    r"""A path as `zfs diff` prints it, decoded: `a\0040b` is `a b`."""
    if "\\" not in path:
        return path
    data, out, at = path.encode("utf-8", "surrogateescape"), bytearray(), 0
    while at < len(data):
        digits = data[at + 1 : at + 5]
        if data[at] == 0x5C and len(digits) == 4 and all(0x30 <= digit <= 0x37 for digit in digits):
            out.append(int(digits, 8) & 0xFF)
            at += 5
        else:
            out.append(data[at])
            at += 1
    return text(bytes(out))
