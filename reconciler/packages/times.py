"""When the files of a package are from, so that who builds it again has the same bytes. Pure.

A file that came out of an archive has the time that the archive gave it, everywhere. One that the build wrote has the
time of the build, and one that was copied in that of somebody's checkout. Those get one moment, which follows from
what came with a time of its own and from what they hold: never before the newest of the inputs, so that no program
finds what was made older than what it was made from; and another one when another thing was built, since web servers
tell versions of a file by its time and size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import replace

from reconciler.packages.delta import Delta
from reconciler.packages.tree import Entry, key

Window = tuple[int, int]
"""First and last second of a build."""
EARLIEST = 946_684_800
"""2000-01-01 UTC: the moment is no earlier, whatever the inputs say."""
_SPREAD = 3600
_SLACK = 2
"""Seconds: a file's time is of a coarser clock than a dataset's."""


def settled(change: Delta, windows: Sequence[Window], copied: Container[str] = (), floor: int = 0) -> Delta:
    """The same change, with one moment for every file that was written in a window or whose SHA256 is in `copied`.

    The moment (s since 1970) is at most an hour after the newest of: `floor`, and the other files' times.
    """
    made = {entry.path for entry in change.entries if _made(entry, windows, copied)}
    if not made:
        return change
    end = max((last for _first, last in windows), default=0)
    others = (entry.mtime for entry in change.entries if entry.path not in made and entry.mtime <= end)
    content = hashlib.sha256()
    for entry in change.entries:
        if entry.path in made:
            content.update(key(entry.path) + b"\0" + bytes.fromhex(entry.sha256))
    moment = max(EARLIEST, floor, *others) + int.from_bytes(content.digest()[:4]) % _SPREAD
    entries = (replace(entry, mtime=moment) if entry.path in made else entry for entry in change.entries)
    return replace(change, entries=tuple(entries))


def _made(entry: Entry, windows: Sequence[Window], copied: Container[str]) -> bool:
    if entry.type != "file":
        return False
    return entry.sha256 in copied or any(first - _SLACK <= entry.mtime <= last + _SLACK for first, last in windows)
