"""A build with a network of its own, killed at every call that changes something of the network, or a jail."""

from __future__ import annotations

import pytest

from tests.build.test_build_network import HOST, STOPPED, killed
from tests.build.test_layers import makejail
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
