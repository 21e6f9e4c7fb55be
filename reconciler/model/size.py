"""Sizes in the words that specs and zfs(8) use."""

from __future__ import annotations

_UNITS = "KMGT"


def exact(count: str) -> str:
    """A number of bytes in the largest binary unit that says it without a rest: `1073741824` is `1G`.

    What is no whole number, as `none` or `-`, stays as it is, and so does what no unit says exactly.
    """
    if not count.isdecimal() or not (left := int(count)):
        return count
    unit = ""
    for name in _UNITS:
        if left % 1024:
            break
        left, unit = left // 1024, name
    return f"{left}{unit}"
