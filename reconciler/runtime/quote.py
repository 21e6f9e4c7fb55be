"""Quoting: one function for each language that the runtime files are written in.

jail.conf(5) knows C escapes and `$variables` in double quotes; fstab(5) fields are read with
strunvis(3) and cut at `#`; sh(1) has shlex.
"""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote as sh

__all__ = ["conf", "fstab", "printable", "sh", "words"]

_FSTAB = frozenset(" \t\\#")


def printable(text: str) -> bool:
    """Whether a value has no control characters; what has them is refused, never escaped."""
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)


def conf(text: str) -> str:
    """A double-quoted string of jail.conf(5) that means exactly `text`; ValueError on control characters."""
    if not printable(text):
        raise ValueError(f"a jail.conf value holds no control characters: {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def fstab(field: str) -> str:
    """A device or mount point of fstab(5): blanks, `\\` and `#` as octal; ValueError on control characters."""
    if not field or not printable(field.replace("\t", " ")):
        raise ValueError(f"an fstab field is not empty and holds no control characters: {field!r}")
    return "".join(f"\\{ord(character):03o}" if character in _FSTAB else character for character in field)


def words(argv: Iterable[str]) -> str:
    """A simple command of sh(1)."""
    return " ".join(sh(word) for word in argv)
