"""A build jail with a network stack of its own: an epair on a bridge, an address, and pf's rule; nothing stays."""

from __future__ import annotations

from contextlib import suppress

import pytest

from reconciler.build.vnet import Stack
from reconciler.build.workspace import Workspace
from reconciler.cache import Cache
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import HostError, SpecError
from reconciler.readonly import is_read_only
from reconciler.site import LocalSite
from reconciler.spec.document import BuildVnet
from tests.build.test_layers import POOL, WEB, build_jails, makejail, shell
from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner

VNET = "{bridge: builds0, address: 10.78.0.10/24, gateway: 10.78.0.1, nat: true}"
HOST = f"""---
kind: Host
name: here
match: {{hostname: "*"}}
external: vtnet0
build: {{network: vnet, vnet: {VNET}}}
"""
STOPPED = WEB.replace("name: web", "name: web\nstate: stopped")
LOOK = 'RAW {} >"$APPJAIL_JAILDIR/root/{}"'


def traces(fleet: Fleet) -> list[str]:
    """What a build may have left of its network."""
    seen = fleet.session().observed
    found = [row.name for row in seen.interfaces if "reconciler build" in row.description or "epair" in row.groups]
    return [*found, *(row.name for row in seen.interfaces if "bridge" in row.groups), *seen.firewall]


def test_a_build_has_an_address_a_route_and_pfs_rule_while_it_lasts(fleet: Fleet) -> None:
    fleet.write(WEB + HOST)
    makejail(
        fleet,
        LOOK.format('jexec "$RECONCILER_JAIL" ifconfig -a', "inside"),
        LOOK.format('jexec "$RECONCILER_JAIL" netstat -rn -f inet', "routes"),
        LOOK.format("ifconfig -a", "outside"),
        LOOK.format("pfctl -v -s Anchors", "anchors"),
    )
    assert problems(fleet.apply()) == []

    def told(name: str) -> str:
        return shell(fleet, "jexec", "web", "cat", f"/root/{name}")

    assert "inet 10.78.0.10 netmask 0xffffff00" in told("inside")
    assert "inet 127.0.0.1" in told("inside")
    assert "vtnet0" not in told("inside")
    assert told("routes").split("default")[1].split()[0] == "10.78.0.1"
    assert "description: reconciler build: /reconciler/build\n" in told("outside")
    assert " 10.78.0.10\n" in told("outside")
    assert "member: epair0a" in told("outside")
    assert "reconciler/rcb-" in told("anchors")
    assert traces(fleet) == []
    assert fleet.titles() == []


def room(fleet: Fleet, name: str) -> Workspace:
    session = fleet.session()
    site = LocalSite(session.host, session.place, Cache(fleet.folder / "cache"), session.facts, "2026-11-22")
    made = Workspace(site, f"{POOL}/layers/{name}")
    shell(fleet, "zfs", "clone", "-o", "mountpoint=legacy", f"{POOL}/releases/15.1-RELEASE-p0@sealed", made.dataset)
    made.mount()
    return made


def test_builds_at_the_same_time_have_an_address_each_and_the_last_takes_the_bridge_away(fleet: Fleet) -> None:
    fleet.write(WEB.replace("makejail: {file: web.makejail}", "state: stopped") + HOST)
    assert problems(fleet.apply()) == []
    stack = Stack(BuildVnet(bridge="builds0", address="10.78.0.252/24", gateway="10.78.0.253"), "vtnet0")
    rooms = [room(fleet, name) for name in ("a", "b")]
    for one in rooms:
        one.start(network=True, stack=stack)
    shown = [one.exec(("/sbin/ifconfig", "-a")).stdout.decode() for one in rooms]
    assert [[a for a in (".252 ", ".254 ") if f"10.78.0{a}" in text] for text in shown] == [[".252 "], [".254 "]]
    with pytest.raises(HostError) as full:
        room(fleet, "c").start(network=True, stack=stack)
    assert full.value.diagnostics[0].code == "build-addresses-used"
    assert len(traces(fleet)) == 6
    rooms[0].clear()
    assert len(traces(fleet)) == 4
    rooms[1].clear()
    assert traces(fleet) == []


class DyingAtTheNetwork(DyingRunner):
    """Dies at the n-th call that changes something of the network, or a jail."""

    def run(self, command: Command) -> Completed:
        argv = command.argv

        def call() -> Completed:
            return self.inner.run(command)

        return self._call(call, changes=argv[0] in ("ifconfig", "pfctl", "jail") and not is_read_only(argv))


@pytest.mark.parametrize(("n", "after"), [(4, True), (8, False)])
def test_what_a_killed_build_left_of_its_network_is_cleared_away(fleet: Fleet, n: int, after: bool) -> None:
    """Those that leave most; `flow_build_network.py` tries every call."""
    fleet.write(STOPPED + HOST)
    makejail(fleet, "CMD true")
    assert killed(fleet, n, after=after)


def killed(fleet: Fleet, n: int, *, after: bool) -> bool:
    """Whether a run died at this call; the next one makes everything as it should be."""
    dying = DyingAtTheNetwork(fleet.runner, n, after=after)
    with suppress(Died):
        fleet.apply(dying)
    assert problems(fleet.apply()) == []
    assert (traces(fleet), build_jails(fleet), fleet.titles()) == ([], [], [])
    return dying.dead


def test_what_is_left_is_planned_to_go_though_nothing_is_to_be_built(fleet: Fleet) -> None:
    fleet.write(STOPPED + HOST)
    makejail(fleet, "CMD true")
    assert problems(fleet.apply()) == []
    stack = Stack(BuildVnet(bridge="builds0", address="10.78.0.10/24"), "vtnet0")
    room(fleet, "a").start(network=True, stack=stack)
    shell(fleet, "ifconfig", "epair", "create", "description", "reconciler build: /other/build/0123 10.78.0.11")
    assert ": clear away what an interrupted run left" in fleet.titles()
    fleet.apply()
    assert traces(fleet) == ["epair1a", "epair1b"]  # another pool's


def test_what_a_host_lacks_holds_back_who_is_to_be_built(fleet: Fleet) -> None:
    fleet.write(STOPPED + HOST)
    makejail(fleet, "CMD true")
    assert problems(fleet.apply()) == []
    for change, back, code, place in (
        ("sysctl net.inet.ip.forwarding=0", "sysctl net.inet.ip.forwarding=1", "forwarding-off", "12:97"),
        (
            "ifconfig vtnet0 inet 10.78.0.200/16 alias",
            "ifconfig vtnet0 inet 10.78.0.200 -alias",
            "build-subnet-taken",
            "12:57",
        ),
    ):
        shell(fleet, *change.split())
        assert fleet.decide().plan.notes == ()
        makejail(fleet, "CMD echo")
        (note,) = (note for note in fleet.decide().plan.notes if note.failing)
        assert (note.code, str(note.span).partition("fleet.yaml:")[2]) == (code, place)
        assert fleet.titles() == []
        makejail(fleet, "CMD true")
        shell(fleet, *back.split())


@pytest.mark.parametrize(
    ("host", "jail", "codes"),
    [
        ("build: {network: vnet}", "", {"missing-key"}),
        (f"build: {{vnet: {VNET}}}", "", {"bad-value"}),
        (f"build: {{network: vnet, vnet: {VNET}}}", "{bridge: lan, address: 10.78.0.77/16}", {"address-taken"}),
        (f"build: {{network: vnet, vnet: {VNET}}}", "{bridge: lan, address: 10.78.0.1/16}", {"address-taken"}),
        (f"build: {{network: vnet, vnet: {VNET}}}", "{bridge: builds0, address: 10.79.0.2/24}", {"bridge-disagrees"}),
        (
            "build: {network: vnet, vnet: {bridge: b0, address: 10.78.0.0/24, gateway: 10.79.0.1}}",
            "",
            {"address-unusable", "gateway-outside-subnet"},
        ),
    ],
)
def test_a_network_of_builds_that_cannot_be_is_refused(fleet: Fleet, host: str, jail: str, codes: set[str]) -> None:
    network = f"network: {{vnet: {jail}}}\n" if jail else ""
    text = 'name: here\nmatch: {hostname: "*"}\nexternal: vtnet0\n' + host
    fleet.write(WEB.replace("makejail: {file: web.makejail}\n", network) + f"---\nkind: Host\n{text}\n")
    with pytest.raises(SpecError) as found:
        fleet.session()
    assert {one.code for one in found.value.diagnostics} == codes


def test_nat_of_builds_needs_the_outside_interface(fleet: Fleet) -> None:
    fleet.write(WEB.replace("makejail: {file: web.makejail}\n", "") + HOST.replace("external: vtnet0\n", ""))
    with pytest.raises(SpecError) as found:
        fleet.session()
    assert [one.code for one in found.value.diagnostics] == ["external-missing"]
