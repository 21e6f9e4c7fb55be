"""A host as its installer left it: no pf, no accounting, no forwarding, and what its administrator set on the pool."""

import pytest

from reconciler.hosts.sandbox.facts import set_fact
from reconciler.model.action import Note
from reconciler.model.command import Command
from tests.fleet import Fleet

RELEASE = """kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {mirror}
"""
RICH = f"""kind: Host
name: here
match: {{{{hostname: "*"}}}}
external: vtnet0
---
{RELEASE}---
kind: Jail
name: web
release: 15.1-RELEASE
network: {{{{vnet: {{{{bridge: rc0, address: "{{address}}", gateway: "{{gateway}}", nat: true}}}}}}}}
limits: {{{{memoryuse: 512M}}}}
"""


def zfs(fleet: Fleet, *words: str) -> str:
    """What zfs(8) of the host says."""
    done = fleet.runner.run(Command(("zfs", *words)))
    assert done.status == 0, done.stderr
    return done.stdout.decode()


def failing(fleet: Fleet) -> list[Note]:
    """The notes of a plan that hold something back."""
    return [note for note in fleet.decide().plan.notes if note.failing]


def bare(fleet: Fleet) -> None:
    """Take away what nobody has switched on yet."""
    with fleet.machine.state.transaction():
        set_fact(fleet.machine, "modules", ["kernel", "zfs.ko"])
        for name in ("net.inet.ip.forwarding", "net.inet6.ip6.forwarding", "kern.racct.enable"):
            set_fact(fleet.machine, name, 0)


@pytest.mark.parametrize(
    ("address", "gateway", "forwarding"),
    [
        ("10.77.0.2/24", "10.77.0.1", "sysrc gateway_enable=YES && sysctl net.inet.ip.forwarding=1"),
        ("fd00::2/64", "fd00::1", "sysrc ipv6_gateway_enable=YES && sysctl net.inet6.ip6.forwarding=1"),
    ],
)
def test_all_that_a_jail_lacks_is_said_at_once(fleet, address, gateway, forwarding):
    fleet.write(RICH.format(mirror=fleet.mirror, address=address, gateway=gateway))
    bare(fleet)
    (note,) = failing(fleet)
    assert note.code == "pf-missing" and note.scope == "web"
    for said in ("> /etc/pf.conf", "pf start", "forwarding-off", forwarding, "racct-off", "kern.racct.enable=1"):
        assert said in note.text
    with fleet.machine.state.transaction():
        set_fact(fleet.machine, "modules", ["kernel", "zfs.ko", "pf.ko"])
        set_fact(fleet.machine, forwarding.rpartition(" ")[2].partition("=")[0], 1)
        set_fact(fleet.machine, "kern.racct.enable", 1)
    assert failing(fleet) == []


def test_what_is_set_on_the_pool_keeps_no_jail_from_starting(fleet):
    zfs(fleet, "set", "exec=off", "setuid=off", "readonly=on", "zroot")
    fleet.write(RELEASE.format(mirror=fleet.mirror) + "---\nkind: Jail\nname: web\nrelease: 15.1-RELEASE\n")
    assert fleet.apply().failed == ()
    shown = zfs(fleet, "get", "-H", "-o", "value", "exec,setuid,readonly", "zroot/reconciler/jails/web/1")
    assert shown == "on\non\noff\n"
    assert fleet.titles() == []
