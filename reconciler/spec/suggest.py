"""Did you mean: the nearest known word to one that is not known."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice

# A fleet may hold ten thousand names and as many mistakes: among so many, only names that begin alike count.
MANY = 256


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None where nothing is alike. Case does not count."""
    if len(word) > 200:
        return None
    names = known if isinstance(known, Collection) else list(known)
    if len(names) > MANY:
        start = word[:2]
        names = list(islice((name for name in names if name.startswith(start)), MANY))
    return _nearest(word, tuple(names))


@lru_cache(maxsize=4096)
def _nearest(word: str, names: tuple[str, ...]) -> str | None:
    by_lower = {name.lower(): name for name in names}
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
