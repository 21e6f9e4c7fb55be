"""Interfaces, routes, limits and pf rules of the sandbox."""

from pathlib import Path

import pytest

from reconciler.hosts.sandbox import packetfilter
from reconciler.hosts.sandbox.facts import set_fact
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "sandbox")


def run(machine: Machine, line: str, stdin: bytes = b"") -> Completed:
    return machine.run(Command(tuple(line.split()), stdin=stdin))


RULES = [
    ("nat on vtnet0 inet from 10.77.0.2 to any -> (vtnet0)",
     "nat on vtnet0 inet from 10.77.0.2 to any -> (vtnet0) round-robin"),
    ("nat on vtnet0 from 10.77.0.0/24 to any -> (vtnet0)",
     "nat on vtnet0 inet from 10.77.0.0/24 to any -> (vtnet0) round-robin"),
    ("rdr pass on vtnet0 proto tcp from any to any port 8080 -> 10.77.0.2 port 80",
     "rdr on vtnet0 proto tcp from any to any port = 8080 -> 10.77.0.2 port = http"),
    ("block in on vtnet0", "block drop in on vtnet0 all"),
    ("pass out quick proto tcp from any to 10.0.0.1/32 port 443",
     "pass out quick inet proto tcp from any to 10.0.0.1 port = https flags S/SA keep state"),
    ('nat-anchor "reconciler/*"', 'nat-anchor "reconciler/*" all'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), RULES, ids=[text for text, _ in RULES])
def test_rules_are_shown_in_the_words_of_pfctl(text: str, shown: str) -> None:
    nat, rules = packetfilter.parse(text + "\n")
    assert nat + rules == [shown]


def test_an_anchor_is_loaded_shown_and_flushed(machine: Machine) -> None:
    rule = b"nat on vtnet0 inet from 10.77.0.2 to any -> (vtnet0)\n"
    assert run(machine, "pfctl -a reconciler/web -f -", rule).status == 0
    assert b"10.77.0.2" in run(machine, "pfctl -a reconciler/web -s nat").stdout
    assert b'nat-anchor "web" all {' in run(machine, "pfctl -a * -s nat").stdout
    assert run(machine, "pfctl -a reconciler/web -F all").status == 0
    assert run(machine, "pfctl -a reconciler/web -s nat").stdout == b""


def test_a_ruleset_with_an_error_changes_nothing(machine: Machine) -> None:
    run(machine, "pfctl -a a -f -", b"block in on vtnet0\n")
    done = run(machine, "pfctl -a a -f -", b"pass in\nbogus rule\n")
    assert done.status == 1 and done.stderr.startswith(b"stdin:2: syntax error\n")
    assert run(machine, "pfctl -a a -s rules").stdout == b"block drop in on vtnet0 all\n"


def test_securelevel_3_blocks_pfctl(machine: Machine) -> None:
    run(machine, "sysctl kern.securelevel=3")
    assert run(machine, "pfctl -a a -f -", b"pass in\n").status == 1


def test_a_securelevel_is_never_lowered(machine: Machine) -> None:
    run(machine, "sysctl kern.securelevel=2")
    assert run(machine, "sysctl kern.securelevel=1").stderr == b"sysctl: kern.securelevel=1: Operation not permitted\n"


def test_limits_are_refused_where_accounting_is_off(machine: Machine) -> None:
    with machine.state.transaction():
        set_fact(machine, "kern.racct.enable", 0)
    assert run(machine, "rctl -a jail:j:maxproc:deny=2").status == 1


def test_destroying_one_half_of_an_epair_destroys_both(machine: Machine) -> None:
    run(machine, "ifconfig epair0 create")
    run(machine, "ifconfig epair0b name inner")
    run(machine, "ifconfig epair0a destroy")
    assert run(machine, "ifconfig -l").stdout == b"vtnet0 lo0\n"


def test_default_route_needs_a_way_there(machine: Machine) -> None:
    run(machine, "route delete default")
    assert b"Network is unreachable" in run(machine, "route add default 192.0.2.1").stderr
    assert run(machine, "route add default 10.0.2.2").stdout == b"add net default: gateway 10.0.2.2\n"


def test_a_member_of_a_bridge_has_no_addresses(machine: Machine) -> None:
    # if_bridge(4) of FreeBSD 15: net.link.bridge.member_ifaddrs is 0.
    run(machine, "ifconfig bridge create")
    run(machine, "ifconfig epair create")
    run(machine, "ifconfig epair0a inet6 fd00::1/64 alias")
    assert b"Invalid argument" in run(machine, "ifconfig bridge0 addm epair0a").stderr
    run(machine, "ifconfig epair0a inet6 fd00::1 -alias")
    assert run(machine, "ifconfig bridge0 addm epair0a").status == 0
