"""Derived names are short, stable, told apart by host, and checked for collisions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.runtime import RULESETS, allocate_rulesets, collisions, names, ruleset_number
from tests.runtime.jails import HOSTID

jail_names = st.from_regex(r"[a-z][a-z0-9_-]{0,30}", fullmatch=True)


def test_names_stay_the_same_from_version_to_version() -> None:
    mine = names(HOSTID, "web")
    assert (mine.outer, mine.inner) == ("web_kbxe4ty0", "web_kbxe4ty1")
    assert (mine.outer_mac, mine.inner_mac) == ("26:4b:6b:17:6c:14", "8a:9c:6c:49:10:2c")


@given(st.text(max_size=40), jail_names)
def test_names_are_what_the_kernel_takes(hostid: str, jail: str) -> None:
    mine = names(hostid, jail)
    for interface in (mine.outer, mine.inner):
        assert re.fullmatch(r"[a-z][a-z0-9_]{1,13}[0-9]", interface)
    for mac in (mine.outer_mac, mine.inner_mac):
        assert re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac)
        assert int(mac[:2], 16) & 3 == 2, "locally administered, unicast"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", mine.hostuuid)
    assert mine.outer != mine.inner and mine.outer_mac != mine.inner_mac


def test_two_hosts_share_no_mac_address() -> None:
    assert names("a", "web").inner_mac != names("b", "web").inner_mac


def test_jails_that_share_a_derived_name_are_found() -> None:
    some = {jail: names(HOSTID, jail) for jail in ("a", "b", "c")}
    assert collisions(some) == ()
    some["c"] = some["a"]
    assert {(one, other) for one, other, _ in collisions(some)} == {("a", "c")}


@given(st.sets(jail_names, max_size=8), st.sets(st.sampled_from(list(RULESETS)[:50])))
def test_ruleset_numbers_are_private_and_nobody_elses(wanted: set[str], taken: set[int]) -> None:
    first = {ruleset_number(HOSTID, jail) for jail in wanted}
    taken |= set(list(first)[:2])
    given_out = allocate_rulesets(HOSTID, wanted, taken)
    assert set(given_out) == wanted and len(set(given_out.values())) == len(wanted)
    assert not set(given_out.values()) & taken
    assert all(number in RULESETS for number in given_out.values())


def test_a_full_range_is_an_error() -> None:
    with pytest.raises(ValueError, match="is taken"):
        ruleset_number(HOSTID, "web", RULESETS)
