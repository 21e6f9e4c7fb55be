"""The laws of packages over many more trees than the default tests try. Slow: see `make test-slow`.

LAWS_EXAMPLES=1000 in the environment tries more of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import test_archive, test_delta, test_format
from .trees import examples, pairs

LAWS: dict[Callable[..., Any], st.SearchStrategy[Any]] = {
    test_delta.test_applying_the_difference_of_two_trees_to_one_gives_the_other: pairs(),
    test_delta.test_a_difference_is_sorted_and_carries_whole_files: pairs(),
    test_delta.test_what_is_removed_first_is_below_before_above: pairs(),
    test_format.test_what_is_packed_is_what_is_read: pairs(),
    test_format.test_any_tar_reader_finds_the_same_in_it: pairs(),
    test_format.test_a_manifest_has_one_text: pairs(),
    test_archive.test_an_accepted_archive_never_writes_outside_its_tree: test_archive.ITEMS | test_archive.MILD,
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_law_holds_over_many(law: Callable[..., Any]) -> None:
    inner = law.hypothesis.inner_test  # type: ignore[attr-defined]

    @examples(int(os.environ.get("LAWS_EXAMPLES", "300")))
    @given(LAWS[law])
    def holds(value: Any) -> None:
        inner(value)

    holds()
