"""Checks across documents. Each rule is a file of `rules/`; errors and warnings come back together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from reconciler.model.diagnostic import Diagnostic
from reconciler.registry import offered
from reconciler.spec import rules
from reconciler.spec.specset import Sourced, SpecSet
from reconciler.spec.view import Check, View


def lint(
    specs: SpecSet,
    found: list[tuple[str, Sourced[Any]]],
    broken: Mapping[str, frozenset[str]],
    *,
    complete: bool,
    looks: dict[str, tuple[bool, bool]] | None = None,
) -> list[Diagnostic]:
    """Everything wrong in and between the valid documents, duplicates included.

    `broken` names, by kind, documents that are not valid; `complete` is False when files could not be
    read. What only follows from those is not reported. `looks` gets the paths that were looked for.
    """

    def of(kind: str) -> tuple[Sourced[Any], ...]:
        return tuple(item for its, item in found if its == kind)

    view = View(
        specs, of("Jail"), of("Release"), of("Package"), of("Host"), broken, complete, {} if looks is None else looks
    )
    return [diagnostic for check in checks() for diagnostic in check(view)]


@cache
def checks() -> tuple[Check, ...]:
    """The rules, in the order of their files."""
    return tuple(offered(rules, "CHECK").values())
