"""A jail with an interface of the host for itself, and jails that the network gives their address."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command
from reconciler.model.diagnostic import SpecError
from tests.fleet import Fleet, problems

JAIL = """kind: Jail
name: {name}
release: 15.1-RELEASE
network: {{vnet: {{{vnet}}}}}
{more}
"""
BPF = "devfs: [\"path 'bpf*' unhide\"]"


def spec(vnet: str, more: str = "", name: str = "web") -> str:
    return JAIL.format(vnet=vnet, more=more, name=name)


def run(fleet: Fleet, *words: str) -> str:
    done = fleet.runner.run(Command(words))
    return (done.stdout + done.stderr).decode()


def refused(fleet: Fleet, *texts: str) -> list[str]:
    fleet.write("---\n".join(texts))
    with pytest.raises(SpecError) as caught:
        fleet.decide()
    return [found.code for found in caught.value.diagnostics]


def test_an_interface_is_the_jails_while_it_runs_and_the_hosts_afterwards(fleet: Fleet) -> None:
    fleet.write(spec("interface: tap0, address: 10.9.0.2/24, gateway: 10.9.0.1"))
    assert "interface-missing" in [note.code for note in fleet.decide().plan.notes if note.failing]
    run(fleet, "ifconfig", "tap0", "create")
    assert problems(fleet.apply()) == []
    assert "inet 10.9.0.2" in run(fleet, "jexec", "web", "ifconfig", "tap0")
    assert "does not exist" in run(fleet, "ifconfig", "tap0") and fleet.titles() == []
    run(fleet, "ifconfig", "tap0", "-vnet", "web")
    assert fleet.titles() == ["web: stop jail", "web: start jail"]
    assert problems(fleet.apply()) == [] and fleet.titles() == []
    fleet.write(spec("interface: tap0, address: 10.9.0.2/24, gateway: 10.9.0.1", "state: stopped"))
    assert problems(fleet.apply()) == []
    assert "tap0: flags" in run(fleet, "ifconfig", "tap0")


@pytest.mark.parametrize(
    ("way", "more", "found"), [("dhcp", BPF, "inet 198.51.100."), ("slaac", "", "inet6 2001:db8:51:")]
)
def test_the_network_gives_the_address(fleet: Fleet, way: str, more: str, found: str) -> None:
    fleet.write(spec(f"bridge: lan0, address: {way}", more))
    assert problems(fleet.apply()) == [] and fleet.titles() == []
    assert found in run(fleet, "jexec", "web", "ifconfig", "-a")


REFUSED = [
    ("address: 10.0.0.2/24", "", ["vnet-ends"]),
    ("bridge: b0, interface: em1, address: 10.0.0.2/24", "", ["vnet-ends"]),
    (
        "interface: em1, address: 10.0.0.2/24, gateway: 10.0.0.1, nat: true, expose: [{host: 80}]",
        "",
        ["vnet-unfit"] * 2,
    ),
    ("bridge: b0, address: dhcp, gateway: 10.0.0.1", BPF, ["vnet-unfit"]),
    ('interface: em1, address: slaac, mac: "02:00:5e:10:00:01"', "", ["vnet-unfit"]),
    ("bridge: b0, address: dhcp", "", ["dhcp-without-bpf"]),
    ("interface: vtnet0, address: slaac", "", ["interface-taken"]),
]
HOST = 'kind: Host\nname: h\nmatch: {hostname: "*"}\nexternal: vtnet0\n'


@pytest.mark.parametrize(("vnet", "more", "codes"), REFUSED)
def test_what_does_not_fit_together_is_refused(fleet: Fleet, vnet: str, more: str, codes: list[str]) -> None:
    assert refused(fleet, spec(vnet, more), HOST) == codes


def test_an_interface_goes_into_one_jail(fleet: Fleet) -> None:
    other = "network: {addresses: [{interface: em1, address: 10.0.0.9/24}]}"
    one, two = spec("interface: em1, address: slaac"), spec("interface: em1, address: slaac", name="two")
    assert refused(fleet, one, two) == ["interface-taken"]
    three = f"kind: Jail\nname: three\nrelease: 15.1-RELEASE\n{other}\n"
    assert refused(fleet, one, three) == ["interface-taken"]
