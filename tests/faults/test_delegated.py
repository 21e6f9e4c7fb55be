"""Datasets that somebody delegated to a jail, by hand, below our pool: root in that jail sets what it likes."""

from __future__ import annotations

import pytest

from reconciler.hosts.freebsd import zfs
from tests.faults.conftest import Hand
from tests.fleet import Fleet, problems

WEB = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\nvolumes: [{name: www, mountpoint: /srv/www}]\n"
POOL = "zroot/reconciler"
USER = ["-"] * len(zfs.USER)
ZEROS = ["0", "0", "0"]


def row(name: str, guid: str, owner: str) -> str:
    """A line as a listing has it, up to its user properties."""
    fixed = [name, "off", "filesystem", guid, "-", "legacy", "noauto", "no", "off", "-", "-"]
    return "\t".join([*fixed, *["-"] * len(zfs.NATIVE), owner])


def forged(name: str, guid: str, owner: str) -> str:
    """A value that ends its own row and begins another one, each with as many columns as there should be."""
    at = zfs.USER.index("source")
    rest = [*USER[at + 1 :], *ZEROS]
    return "\t".join(["x", *rest]) + "\n" + "\t".join([row(name, guid, owner), *USER[1:at], "x"])


@pytest.fixture
def delegated(fleet: Fleet, hand: Hand) -> Fleet:
    """A converged host with a dataset that belongs to a jail, and a snapshot and a child of it."""
    fleet.write(WEB)
    assert problems(fleet.apply()) == []
    hand("zfs", "create", "-o", "jailed=on", f"{POOL}/volumes/web/given")
    hand("zfs", "create", f"{POOL}/volumes/web/given/below")
    return fleet


@pytest.mark.parametrize("value", ["a\tb", "a\nb", "\n\t\n", "x\n" + row(f"{POOL}/jails/web", "1", "me")])
def test_values_that_tear_the_listing_change_nothing(delegated: Fleet, hand: Hand, value: str) -> None:
    hand("zfs", "set", f"reconciler:source={value}", f"{POOL}/volumes/web/given")
    hand("zfs", "snapshot", f"{POOL}/volumes/web/given@mine")
    assert delegated.titles() == []
    rows = {each.name: each for each in delegated.session().observed.datasets}
    for name in ("given", "given/below", "given@mine"):
        assert rows[f"{POOL}/volumes/web/{name}"].user == {}
    assert rows[f"{POOL}/volumes/web/www"].user["owner"]


def test_a_row_that_a_jail_makes_up_is_not_believed(delegated: Fleet, hand: Hand) -> None:
    host = hand("zfs", "get", "-H", "-o", "value", "reconciler:owner", POOL).partition(":")[0]
    for name in ("jails/ghost", "volumes/web/www"):
        value = forged(f"{POOL}/{name}", "77", f"{host}:77")
        hand("zfs", "set", f"reconciler:source={value}", f"{POOL}/volumes/web/given")
        assert delegated.titles() == []
        rows = [each for each in delegated.session().observed.datasets if each.name == f"{POOL}/{name}"]
        assert [each.guid for each in rows if each.guid == "77"] == []


def test_a_torn_row_of_the_host_s_own_is_taken_for_somebody_else_s(fleet: Fleet, hand: Hand) -> None:
    fleet.write(WEB)
    assert problems(fleet.apply()) == []
    hand("zfs", "create", "-o", "reconciler:source=a\tb", f"{POOL}/volumes/web/by-hand")
    assert fleet.titles() == []
    rows = {each.name: each for each in fleet.session().observed.datasets}
    assert rows[f"{POOL}/volumes/web/by-hand"].user == {}
