"""The help page of each diagnostic code: what it means, why it happens, what to do."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable


def _folder() -> Traversable:
    return files("reconciler").joinpath("data", "explain")


def codes() -> list[str]:
    """Every code that has a page."""
    return sorted(entry.name.removesuffix(".md") for entry in _folder().iterdir() if entry.name.endswith(".md"))


def page(code: str) -> str | None:
    """The page of a code, None where there is none."""
    return _folder().joinpath(f"{code}.md").read_text(encoding="utf-8") if code in codes() else None


def similar(word: str, names: list[str]) -> list[str]:
    """Codes and names that look like what was typed."""
    return get_close_matches(word, [*codes(), *names], n=3)
