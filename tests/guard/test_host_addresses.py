"""An address that the host has for itself is not given to a jail, whose stop would take it away (jail(8))."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command
from tests.fleet import Fleet, problems

SPEC = """\
kind: Jail
name: web
release: 15.1-RELEASE
network: {{addresses: [{{interface: vtnet0, address: "{}"}}]}}
"""


@pytest.mark.parametrize("address", ["10.0.2.15/24", "10.0.2.15/32", "fe80::1/128"])
def test_an_address_of_the_host_holds_the_jail_back(fleet: Fleet, address: str) -> None:
    fleet.write(SPEC.format(address))
    decided = fleet.decide()
    assert ("address-of-host", True) in [(n.code, n.failing) for n in decided.plan.notes]
    assert not any(step.scope == "web" for step in decided.plan.steps)


def test_an_address_that_an_earlier_start_left_does_not(fleet: Fleet) -> None:
    fleet.write(SPEC.format("10.0.2.90/32"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    for line in ("jail -R web", "ifconfig vtnet0 inet 10.0.2.90/32 alias"):
        fleet.runner.run(Command(tuple(line.split())))
    assert "web: start jail" in fleet.titles()
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_missing_interface_holds_the_jail_back_until_it_is_there(fleet: Fleet) -> None:
    fleet.write(SPEC.format("10.9.9.9/32").replace("vtnet0", "lo7"))
    decided = fleet.decide()
    assert ("interface-missing", True) in [(n.code, n.failing) for n in decided.plan.notes]
    fleet.runner.run(Command(("ifconfig", "lo7", "create")))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
