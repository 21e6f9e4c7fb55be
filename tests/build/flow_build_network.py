"""A build with a network of its own beside jails, and killed at every call that changes the network, or a jail."""

from __future__ import annotations

import pytest

from tests.build.test_build_network import HOST, STOPPED, killed
from tests.build.test_layers import WEB, makejail, shell
from tests.fleet import Fleet, problems
from tests.sweep import EVERY


@pytest.mark.parametrize("after", [False, True])
def test_every_call_of_the_network_may_be_the_last(fleet: Fleet, after: bool) -> None:
    fleet.write(STOPPED + HOST)
    makejail(fleet, "CMD true")
    assert problems(fleet.apply()) == []
    n = 1
    makejail(fleet, "CMD echo 0 >/root/n")
    while killed(fleet, n, after=after):
        n += min(EVERY, 2)
        makejail(fleet, f"CMD echo {n} >/root/n")
    assert n > 10


def test_a_bridge_that_jails_use_is_made_as_theirs_and_stays(fleet: Fleet) -> None:
    fleet.write(WEB + "network: {vnet: {bridge: builds0, address: 10.78.0.2/24, gateway: 10.78.0.1}}\n" + HOST)
    makejail(fleet, "CMD true")
    assert problems(fleet.apply()) == []
    assert "description: reconciler: builds0\n" in shell(fleet, "ifconfig", "builds0")
    assert shell(fleet, "ifconfig", "builds0").count("member: ") == 1
    assert fleet.titles() == []
