"""Checks across documents. Each rule is one function of one file in `rules/`."""

from __future__ import annotations

from typing import Any

from reconciler.model.diagnostic import Diagnostic
from reconciler.spec.specset import Sourced, SpecSet


def lint(specs: SpecSet, found: list[tuple[str, Sourced[Any]]], *, complete: bool) -> list[Diagnostic]:
    """Everything wrong between documents; `complete` is False when some documents could not be read."""
    return []
