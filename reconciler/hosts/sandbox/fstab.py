r"""fstab(5): lines of source, target, type and options, with `\040` for what cannot stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Line:
    """One mount."""

    source: str
    target: str
    fstype: str
    options: tuple[str, ...]


def read(text: str) -> list[Line]:
    """The lines of an fstab; comments and lines with fewer than three fields are left out."""
    lines = []
    for line in text.splitlines():
        fields = [_ESCAPE.sub(lambda m: chr(int(m[1], 8)), word) for word in line.split("#")[0].split()]
        if len(fields) >= 3:
            lines.append(Line(fields[0], fields[1], fields[2], tuple(fields[3].split(",") if fields[3:] else ())))
    return lines
