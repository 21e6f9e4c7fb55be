"""Quoting: one function for each language that the runtime files are written in.

jail.conf(5) knows C escapes and `$variables` in double quotes; fstab(5) fields are read with
strunvis(3) and cut at `#`; sh(1) has shlex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from shlex import quote

__all__ = ["conf", "fstab", "printable", "sh", "words"]

_FSTAB = re.compile(r"[ \\#]")


def printable(text: str) -> bool:
    """Whether every character shows: no controls, no blanks but the space, nothing that reorders text.

    What is not printable is refused, never escaped: programs disagree on what separates words and lines.
    """
    return text.isprintable()


def conf(text: str) -> str:
    """A double-quoted string of jail.conf(5) that means exactly `text`; ValueError when it is not printable."""
    if not printable(text):
        raise ValueError(f"a jail.conf value is printable: {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def fstab(field: str) -> str:
    """Escape a device or mount point as octal where it would end; ValueError when it is not printable."""
    if not field or not printable(field):
        raise ValueError(f"an fstab field is not empty and printable: {field!r}")
    return _FSTAB.sub(lambda found: f"\\{ord(found[0]):03o}", field)


@lru_cache(maxsize=1024)  # one jail's files say the same few words fifty times
def sh(text: str) -> str:
    """One word that the shell reads as exactly this text."""
    return quote(text)


def words(argv: Iterable[str]) -> str:
    """A simple command of sh(1)."""
    return " ".join(sh(word) for word in argv)
