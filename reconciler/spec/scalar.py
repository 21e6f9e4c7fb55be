"""Plain scalars of YAML 1.2's core schema: null, booleans, numbers, text.

`no` and `on` are text. Digits with a leading zero and `0o` octals stay text too, so that a mode
written 0750 is not the number 750.
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})\Z|0x[0-9a-fA-F]{1,16}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z")
_WORD = 24  # what thousands of files have in common: sizes, names of interfaces, places in a jail
_MAYBE_NUMBER = frozenset("+-.0123456789")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def resolve(text: str) -> Any:
    """A plain scalar's value by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _MAYBE_NUMBER:
        if _INT.match(text):
            return int(text, 0)
        if len(text) <= 64 and _FLOAT.match(text) and not _octal_like(text):
            return float(text)
    return intern(text) if len(text) <= _WORD else text


def _octal_like(text: str) -> bool:
    """Digits alone, which no integer matched: a leading zero, or more digits than any size has."""
    return text.lstrip("+-").isdigit()
