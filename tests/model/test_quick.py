"""A class made quick differs from the plain one in its time alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.quick import quick
from reconciler.model.value import Resource


@dataclass(frozen=True, slots=True)
class Plain(Resource):
    """Every sort of field: required, with a value, with something made anew, and one that does not compare."""

    size: int
    kind_: str = "plain"
    options: Mapping[str, str] = field(default_factory=dict)
    seen: int = field(default=0, compare=False)


@quick
@dataclass(frozen=True, slots=True)
class Quick(Resource):
    """The same."""

    size: int
    kind_: str = "plain"
    options: Mapping[str, str] = field(default_factory=dict)
    seen: int = field(default=0, compare=False)


ARGUMENTS = st.tuples(
    st.lists(st.integers(0, 3), max_size=6),
    st.dictionaries(st.sampled_from(["name", "size", "kind_", "options", "seen", "other"]), st.integers(0, 3)),
)


def made(cls: type[Any], args: list[Any], kwargs: dict[str, Any]) -> tuple[object, ...]:
    """What comes of a call: the values, or the kind of error."""
    try:
        one = cls(*args, **kwargs)
    except TypeError:
        return ("refused",)
    return (one.name, one.size, one.kind_, one.options, one.seen)


@given(ARGUMENTS)
def test_it_takes_what_the_plain_one_takes(given_: tuple[list[Any], dict[str, Any]]) -> None:
    """By place and by name, too few, too many, unknown."""
    assert made(Quick, *given_) == made(Plain, *given_)


def test_it_is_as_frozen_and_compares_as_before() -> None:
    """Nothing but how an instance is made has changed."""
    one = Quick("a", 1, seen=5)
    with pytest.raises(FrozenInstanceError):
        one.size = 2  # type: ignore[misc]
    assert one == Quick("a", 1) != Quick("a", 2)
    assert replace(one, size=7) == Quick("a", 7)
    assert one.options is not Quick("a", 1).options
    assert repr(one) == repr(Plain("a", 1, seen=5)).replace("Plain", "Quick")


def test_a_class_with_more_to_do_is_refused() -> None:
    """It would be left out in silence."""
    with pytest.raises(TypeError, match="__post_init__"):

        @quick
        @dataclass(frozen=True, slots=True)
        class _More:
            size: int

            def __post_init__(self) -> None:
                """Never called."""

    with pytest.raises(TypeError, match="place"):

        @quick
        @dataclass(frozen=True, slots=True)
        class _Named:
            size: int = field(kw_only=True)
