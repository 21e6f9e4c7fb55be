"""Diagnostics as text: code, place, the line with a caret, what is wrong, what to do."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TextIO

from reconciler.model.diagnostic import Diagnostic, Span

_WIDTH = 160
_LIMIT = 16 * 1024 * 1024
Lines = Callable[[str], Sequence[str]]


def show(diagnostics: Iterable[Diagnostic], to: TextIO | None = None, *, lines: Lines | None = None) -> None:
    """Write diagnostics, with the user's line where its file can still be read, to stderr or `to`."""
    stream = sys.stderr if to is None else to
    for number, diagnostic in enumerate(diagnostics):
        if number:
            stream.write("\n")
        stream.write(render(diagnostic, lines or file_lines))


def render(diagnostic: Diagnostic, lines: Lines) -> str:
    """One diagnostic as text that ends in a newline; nothing of the user's can steer the terminal."""
    out = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.summary}"]
    span = diagnostic.span
    if span is not None and span.file:
        out.append(f"  --> {visible(str(span))}")
        out += _excerpt(span, lines)
    out += [f"  {visible(line)}" for line in diagnostic.detail.splitlines()]
    out += [f"  hint: {visible(line)}" for line in diagnostic.hint.splitlines()]
    return "\n".join(out) + "\n"


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic as plain values, for `--json`."""
    span = diagnostic.span or Span("")
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
        "hint": diagnostic.hint,
        "file": span.file,
        "line": span.line,
        "column": span.column,
    }


def counted(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    both = ((errors, "error"), (len(diagnostics) - errors, "warning"))
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in both if number)


def visible(text: str) -> str:
    """Text with everything that is not printable escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def file_lines(file: str) -> tuple[str, ...]:
    """The lines of a regular file of at most 16 MiB as it is now; nothing where it cannot be read."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return ()
    return _lines(file, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=64)
def _lines(file: str, _state: tuple[int, ...]) -> tuple[str, ...]:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ()
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT:
            return ()
        text = stream.read(_LIMIT).decode("utf-8-sig", "replace")
    return tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _excerpt(span: Span, lines: Lines) -> list[str]:
    """The line of a place, with a caret under the column; cut around it when long."""
    known = lines(span.file) if span.line else ()
    if not 0 < span.line <= len(known):
        return []
    line, column = known[span.line - 1], max(span.column, 1)
    start = max(0, column - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = visible(line[start : start + _WIDTH].replace("\t", " "))
    before = len(visible(line[start : column - 1].replace("\t", " ")))
    gutter = str(span.line)
    out = [f"  {gutter} | {shown}"]
    if span.column:
        out.append(f"  {' ' * len(gutter)} | {' ' * before}^")
    return out
