"""Addresses read in the short way are those that the library reads."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reconciler.spec.fields import InterfaceAddress

ADDRESS: TypeAdapter[str] = TypeAdapter(InterfaceAddress)
_number = st.integers(0, 300).map(str) | st.from_regex(r"[0-9]{0,4}", fullmatch=True)
ENDS = ["\n", " ", "/255.255.255.0", "/32\n", "/٣"]
TEXTS = st.one_of(
    st.tuples(st.lists(_number, min_size=3, max_size=5).map(".".join), _number).map("/".join),
    st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 40).map(str)).map("/".join),
    st.tuples(st.ip_addresses(v=4).map(str), st.sampled_from(ENDS)).map("".join),
)


@given(TEXTS)
def test_a_text_is_what_the_library_makes_of_it(text: str) -> None:
    """The same form, or refused by both."""
    try:
        wanted = str(ip_interface(text))
    except ValueError:
        with pytest.raises(ValidationError):
            ADDRESS.validate_python(text)
        return
    assert ADDRESS.validate_python(text) == wanted
