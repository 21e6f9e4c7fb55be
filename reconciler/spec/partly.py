"""A document without what is wrong with it, so that the rules can look at the rest of it in the same run."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from reconciler.spec.document import KINDS
from reconciler.spec.specset import Path_

_ROUNDS = 8  # what is cut away may leave its surroundings without something they need


def without_faults(kind: str, raw: Mapping[str, Any], error: ValidationError) -> tuple[Any, frozenset[Path_]] | None:
    """The document of `raw` less the keys that are wrong, and their paths; None where nothing with a name is left.

    A list that holds something wrong goes whole: what follows in it would get other numbers, and so other places.
    """
    rest: dict[str, Any] = copy.deepcopy(dict(raw))
    gone: set[Path_] = set()
    for _ in range(_ROUNDS):
        paths = {_cut(item["loc"], rest, missing=item["type"] == "missing") for item in _errors(error)}
        if paths & {(), ("name",)}:
            return None
        for path in paths:
            _remove(rest, path)
        gone |= paths
        try:
            return KINDS[kind].model_validate(rest), frozenset(gone)
        except ValidationError as again:
            error = again
    return None


def _errors(error: ValidationError) -> Iterable[Any]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _cut(loc: Path_, raw: Any, *, missing: bool) -> Path_:
    """The mapping key to remove for an error at `loc`, which may name arms of unions that nobody wrote."""
    path: list[str | int] = []
    for part in loc:
        if not isinstance(raw, dict) or part not in raw:
            break
        path.append(part)
        raw = raw[part]
    whole = missing and isinstance(raw, dict) and len(path) == len(loc)
    return tuple(path[:-1] if whole else path)


def _remove(raw: dict[str, Any], path: Path_) -> None:
    for part in path[:-1]:
        inner = raw.get(part)  # type: ignore[arg-type]
        if not isinstance(inner, dict):
            return
        raw = inner
    raw.pop(path[-1], None)  # type: ignore[arg-type]
