"""Did you mean: the nearest known word to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None where nothing is alike. Case does not count."""
    if len(word) > 200:
        return None
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: the nearest word, else `otherwise`."""
    found = nearest(word, known)
    return f"Did you mean `{found}`?" if found else otherwise


def shorten(value: object, limit: int = 80) -> str:
    """A user's value for a message: quoted, control characters escaped, cut when long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "nothing"
    elif isinstance(value, dict):
        text = "a mapping"
    elif isinstance(value, list | tuple):
        text = "a list"
    elif isinstance(value, str):
        text = repr(value[: limit + 1])
    else:
        text = repr(value)[: limit + 1]
    return text if len(text) <= limit + 2 else text[:limit] + "..."
