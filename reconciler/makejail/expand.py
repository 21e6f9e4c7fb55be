"""Evaluates double-quoted text before any run, as far as its variables are known.

The expansions of sh(1) that need no process: `$x`, `${x}`, `${#x}`, and `${x` followed by
`:-` `-` `:+` `+` `:=` `=` `:?` `?` `#` `##` `%` `%%` and a word `}`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping

from reconciler.makejail.problem import DATA, UNSET, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.model.diagnostic import Span

_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[#@*?$!-])(:?[-+=?]|##?|%%?)(.*)\Z", re.DOTALL)


class Variables(dict[str, str]):
    """Variables of a shell that goes on: `${x:=y}` and `${x=y}` set them."""


def evaluate(word: DoubleQuoted, values: Mapping[str, str], span: Span | None = None) -> str:
    """Return the word's value; a name that `values` lacks is unset. Only `Variables` are ever changed.

    Raises MakejailError: 65 for an expansion that only a shell can do and for text that breaks its own
    quoting, 1 for `${x:?}` on an unset variable.
    """
    try:
        parts = word.parts()
    except ValueError as broken:
        detail = f"In {word.source!r}: {broken}."
        raise problem(DATA, "quoting", "The text breaks its own quoting", detail, "Close it.", span) from broken
    return "".join(part if isinstance(part, str) else _expand(part.body, values, span) for part in parts)


def _expand(body: str, values: Mapping[str, str], span: Span | None) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[#@*?$!-]", body):
        return values.get(body, "0" if body in "#?" else "")
    if body in ("#@", "#*"):
        return values.get("#", "0")
    if body.startswith("#") and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+", body[1:]):
        return str(len(values.get(body[1:], "")))
    form = _FORM.match(body)
    if not form:
        detail = f"${{{body}}} can be expanded only by a shell."
        raise problem(DATA, "expansion", "An expansion is not understood", detail, "Use a RAW line.", span)
    name, operator, text = form.groups()
    value = values.get(name)
    word = DoubleQuoted(text)
    if operator[-1] in "-+=?":
        absent = value is None or (operator[0] == ":" and not value)
        found = _default(operator[-1], name, value, absent, lambda: evaluate(word, values, span), span)
        if absent and operator[-1] == "=" and isinstance(values, Variables):
            values[name] = found
        return found
    return _trim(value or "", operator, evaluate(word, values, span))


def _default(
    operator: str, name: str, value: str | None, absent: bool, word: Callable[[], str], span: Span | None
) -> str:
    if operator == "+":
        return "" if absent else word()
    if not absent:
        return value or ""
    if operator == "?":
        detail = f"{name}: {word() or 'not set'}."
        hint = f"Give {name} a value."
        raise problem(UNSET, "expansion-unset", "A variable must be set", detail, hint, span)
    return word()


def _trim(value: str, operator: str, pattern: str) -> str:
    """Cut the shortest (`#`, `%`) or longest (`##`, `%%`) match off the front or the end."""
    matches = re.compile(fnmatch.translate(pattern)).match
    lengths = range(len(value) + 1) if len(operator) == 1 else range(len(value), -1, -1)
    for length in lengths:
        front = operator[0] == "#"
        piece = value[:length] if front else value[len(value) - length :]
        if matches(piece):
            return value[length:] if front else value[: len(value) - length]
    return value
