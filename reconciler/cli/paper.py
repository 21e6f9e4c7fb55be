"""What text is written on: how wide it is, and whether it takes colour."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

from reconciler.cli.show import visible

Ink = Literal["green", "yellow", "red", "dim", "bold"]
_CODES: Mapping[Ink, str] = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}
_WIDEST = 120


@dataclass(frozen=True, slots=True)
class Paper:
    """`width` in columns. Colour is for terminals only, and never where NO_COLOR is set."""

    width: int = 100
    color: bool = False

    def ink(self, text: str, ink: Ink) -> str:
        """The text in a colour, where there is colour. What is not printable is escaped."""
        plain = visible(text)
        return f"\x1b[{_CODES[ink]}m{plain}\x1b[0m" if self.color and plain else plain

    def row(self, left: str, right: str, ink: Ink | None = None) -> str:
        """`left`, and `right` in its column; on a line of its own where both do not fit."""
        column = max(40, self.width * 3 // 5)
        shown = self.ink(left, ink) if ink else visible(left)
        if not right:
            return shown
        if len(left) + 2 <= column:
            return f"{shown}{' ' * (column - len(left))}{self.ink(right, 'dim')}"
        return f"{shown}  {self.ink(right, 'dim')}"


def paper(stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> Paper:
    """The paper that a stream is."""
    stream = stream or sys.stdout
    environ = os.environ if environ is None else environ
    if not stream.isatty():
        return Paper()
    color = not environ.get("NO_COLOR") and environ.get("TERM", "") != "dumb"
    return Paper(min(shutil.get_terminal_size((100, 24)).columns, _WIDEST), color)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns below each other, two spaces apart; the first row is the head."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def size(count: int) -> str:
    """Bytes as people read them: `1.5 GB` is 1,500,000,000."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def many(count: int, word: str) -> str:
    """`1 jail`, `2 jails`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
