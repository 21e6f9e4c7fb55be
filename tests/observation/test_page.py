"""The page about observation speaks of every field, and says why where something is not observed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from reconciler.spec.document import KINDS
from tests.observation.page import Row, rows


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside a type, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models(inner)


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field, nested ones with dots."""
    for name, info in model.model_fields.items():
        yield prefix + name
        for inner in models(info.annotation):
            yield from fields(inner, f"{prefix}{name}.")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_has_a_row_and_every_row_a_field(kind: str) -> None:
    assert sorted({row.field for row in rows() if row.section == kind}) == sorted(set(fields(KINDS[kind])))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_a_row_is_observed_and_tried_or_says_why_not(row: Row) -> None:
    if row.observed.startswith("not observed"):
        assert ":" in row.observed and not row.change and not row.says
    else:
        assert row.change and row.says
