"""A file's text to logical lines: comments, blank lines, CR and continuation.

Blank and comment lines are dropped before lines are joined, so they may stand inside a
continued instruction. A backslash at the end joins with the next line without a separator;
two or more end the line and lose one. Text after the last newline is lost, and so is a
continuation that the file's end cuts off (both are reported in `Lines.lost`).
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.diagnostic import Span

SPACES = " \t\n\v\f\r"


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One instruction line. `parts` says where each physical piece of `text` came from."""

    text: str
    span: Span
    parts: tuple[tuple[int, Span], ...] = ()

    def origin(self, offset: int) -> Span:
        """Return the file, line and column of the character at `offset` of `text`."""
        at, start = 0, self.span
        for part, span in self.parts:
            if part <= offset:
                at, start = part, span
        return Span(start.file, start.line, start.column + offset - at)


@dataclass(frozen=True, slots=True)
class Lines:
    """The logical lines of a file, and the span of the text lost at its end, if any."""

    lines: tuple[LogicalLine, ...]
    lost: Span | None = None


def blank(text: str) -> bool:
    """Say whether a text holds nothing but white space of ASCII."""
    return not text.strip(SPACES)


def head(text: str, separator: str) -> tuple[str, str]:
    """Split a text at its first separator into a name and the rest.

    White space before the name does not count, and without a name the whole text is the name;
    the rest is what follows the first separator wherever that stands.
    """
    name = text.lstrip(SPACES)
    return name.partition(separator)[0] or name, text.partition(separator)[2]


def logical_lines(text: str, file: str) -> Lines:
    """Read the text of `file`. Never fails: what a line says is checked later."""
    # A shell's read drops NUL, wherever it stands.
    physical = text.replace("\0", "").split("\n")
    tail = physical.pop()
    found: list[LogicalLine] = []
    pending: list[tuple[str, Span]] = []
    for number, raw in enumerate(physical, 1):
        line = raw.removesuffix("\r")
        if blank(line) or line.lstrip(SPACES).startswith("#"):
            continue
        stripped = line.lstrip(" \t")
        span = Span(file, number, len(line) - len(stripped) + 1)
        body, joins = _end(stripped)
        pending.append((body, span))
        if not joins:
            found.append(_join(pending))
            pending = []
    lost = pending[0][1] if pending else None
    if lost is None and not blank(tail) and not tail.lstrip(SPACES).startswith("#"):
        lost = Span(file, len(physical) + 1, 1)
    return Lines(tuple(found), lost)


def _end(line: str) -> tuple[str, bool]:
    """Return the line without its closing backslash, and whether the next line joins it."""
    shown = line.rstrip(SPACES)
    if not shown.endswith("\\"):
        return line, False
    return shown[:-1], not shown.endswith("\\\\")


def _join(pieces: list[tuple[str, Span]]) -> LogicalLine:
    parts: list[tuple[int, Span]] = []
    text = ""
    for body, span in pieces:
        parts.append((len(text), span))
        text += body
    first = next((span for body, span in pieces if body), pieces[0][1])
    return LogicalLine(text, first, tuple(parts))
