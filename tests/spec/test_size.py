"""Sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.size import exact
from reconciler.spec.fields import parse_size


@pytest.mark.parametrize(
    ("count", "said"),
    [("1073741824", "1G"), ("131072", "128K"), ("1536", "1536"), ("1610612736", "1536M"), ("0", "0"), ("none", "none")],
)
def test_a_size_is_said_in_the_largest_unit_that_says_it_exactly(count, said):
    assert exact(count) == said


@given(st.integers(1, 2**63 - 1))
def test_what_is_said_means_the_same_number(count):
    assert parse_size(exact(str(count))) == count
