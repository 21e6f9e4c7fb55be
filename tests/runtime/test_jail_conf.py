"""jail.conf: what jail(8) reads is what the spec said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.hosts.sandbox import jailconf
from reconciler.model.diagnostic import SpecError
from reconciler.runtime import files
from reconciler.runtime.conf import osreldate
from reconciler.runtime.quote import conf
from reconciler.spec.document import Jail
from tests.runtime.jails import FULL, STAGES, jail, jails, runtime

PLAIN = """\
# Made by reconciler; changes are overwritten.
web {
    path = "/reconciler/live/web";
    host.hostname = "web";
    host.hostuuid = "e3480d45-0028-8c8f-bb19-5578db556b93";
    persist;
    exec.clean;
    mount.fstab = "/reconciler/jails/web/fstab";
    devfs_ruleset = 4;
    ip4 = "inherit";
    ip6 = "inherit";
    exec.timeout = 900;
    exec.prepare = "/bin/sh /reconciler/jails/web/prepare.sh";
    exec.created = "/bin/sh /reconciler/jails/web/created.sh";
    exec.poststart = "/bin/sh /reconciler/jails/web/poststart.sh";
    exec.poststop = "/bin/sh /reconciler/jails/web/poststop.sh";
    exec.release = "/bin/sh /reconciler/jails/web/release.sh";
    exec.start = "/bin/sh /etc/rc";
    exec.stop = "/bin/sh /etc/rc.shutdown jail";
    exec.consolelog = "/reconciler/jails/web/console.log";
}
"""


def read(spec: Jail, **fields: Any) -> jailconf.Jail:
    """What a reader of jail.conf(5) makes of the generated file."""
    text = files(runtime(spec, **fields))["jail.conf"][1]
    (one,) = jailconf.load("jail.conf", text, lambda _pattern: [])
    return one


def test_the_file_of_a_plain_jail_is_this() -> None:
    assert files(runtime(jail(network={"inherit": True})))["jail.conf"][1] == PLAIN


def test_a_vnet_jail_gets_its_address_and_route_before_its_rc_runs() -> None:
    read_back = read(FULL)
    inner = read_back.one("vnet.interface")
    assert read_back.all("exec.start") == [
        f"/sbin/ifconfig {inner} inet 10.77.0.2/24 up",
        "/sbin/route add default 10.77.0.1",
        "/bin/sh /etc/rc",
    ]
    assert "vnet" in read_back.params and "ip4.addr" not in read_back.params


def test_an_ipv6_vnet_jail_gets_an_ipv6_route() -> None:
    vnet = {"bridge": "lan", "address": "2001:db8::2/64", "gateway": "2001:db8::1"}
    start = read(jail(network={"vnet": vnet})).all("exec.start")
    assert start[0].endswith("inet6 2001:db8::2/64 -ifdisabled up")
    assert start[1] == "/sbin/route add -inet6 default 2001:db8::1"


@pytest.mark.parametrize(
    "network",
    [
        {"vnet": {"bridge": "lan", "address": "2001:db8::2/64"}},
        {"addresses": [{"interface": "em0", "address": "10.0.0.5/24"}, {"interface": "em0", "address": "fd00::5/64"}]},
    ],
)
def test_rc_waits_until_no_ipv6_address_is_tentative(network: dict[str, Any]) -> None:
    # libexec/rc/rc.d/jail sleeps for as long as duplicate address detection takes, when it makes jails of its own.
    start = read(jail(network=network)).all("exec.start")
    assert "' tentative'" in start[-2] and start[-1] == "/bin/sh /etc/rc"
    assert not any("tentative" in line for line in read(FULL).all("exec.start"))


def test_addresses_name_their_interface_by_family() -> None:
    addresses = [
        {"interface": "em0", "address": "10.0.0.5/24"},
        {"interface": "em0", "address": "2001:db8::5/64"},
        {"interface": "lo1", "address": "10.9.9.9/32"},
    ]
    read_back = read(jail(network={"addresses": addresses}))
    assert read_back.all("ip4.addr") == ["em0|10.0.0.5/24", "lo1|10.9.9.9/32"]
    assert read_back.all("ip6.addr") == ["em0|2001:db8::5/64"]


def test_booleans_integers_and_strings_are_written_as_jail_takes_them() -> None:
    text = files(runtime(FULL))["jail.conf"][1]
    for line in ("allow.raw_sockets;", "allow.nomount;", "children.max = 3;", 'sysvshm = "new";'):
        assert f"    {line}\n" in text


@pytest.mark.parametrize(
    ("root", "shown"),
    [("14.4-RELEASE", "1404000"), ("15.0-RELEASE-p2", "1500000"), ("15.1-RELEASE", None), ("15.2-BETA1", None)],
)
def test_an_older_root_is_told_its_own_release(root: str, shown: str | None) -> None:
    read_back = read(jail(), osrelease=root)
    assert read_back.one("osreldate") == shown
    assert read_back.one("osrelease") == (root if shown else None)


def test_osreldate_follows_the_release() -> None:
    assert osreldate("15.1-RELEASE-p3") == 1501000
    with pytest.raises(ValueError, match="not a release"):
        osreldate("head")


def test_every_hook_that_is_named_has_its_script_and_the_other_way_round() -> None:
    made = files(runtime(FULL, stages=STAGES))
    hooks = {name.removesuffix(".sh") for name in made if name.endswith(".sh") and not name.startswith("stage-")}
    named = {name.removeprefix("exec.") for name in read(FULL, stages=STAGES).params if name.startswith("exec.")}
    assert hooks - {"keep"} == named - {"start", "stop", "clean", "consolelog", "timeout"}
    assert {"prestart", "poststart", "prestop"} <= hooks


@given(jails())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_jail_reads_back_with_the_values_of_its_spec(spec: Jail) -> None:
    read_back = read(spec)
    assert read_back.name == spec.name
    assert read_back.one("host.hostname") == (spec.hostname or spec.name)
    assert read_back.one("path") == f"/reconciler/live/{spec.name}"
    assert "depend" not in read_back.params
    for name, value in spec.parameters.items():
        if isinstance(value, str):
            assert read_back.all(name)[-1] == value


@given(st.text(st.characters().filter(str.isprintable)))
def test_any_string_survives_quoting(value: str) -> None:
    (one,) = jailconf.load("x", f"j {{ env = {conf(value)}; }}", lambda _pattern: [])
    assert one.one("env") == value


@given(
    st.sampled_from(["\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\xa0"]),
    st.text(max_size=5),
    st.text(max_size=5),
)
def test_control_characters_are_refused(control: str, before: str, after: str) -> None:
    spec = jail(parameters={"env": before + control + after})
    with pytest.raises(SpecError) as refused:
        files(runtime(spec))
    assert [d.code for d in refused.value.diagnostics] == ["parameter-unwritable"]


def test_paths_with_blanks_and_quotes_reach_the_hooks_whole() -> None:
    read_back = read(jail(), mountpoint="/my pool's $HOME")
    assert read_back.one("exec.prepare") == """/bin/sh '/my pool'"'"'s $HOME/jails/web/prepare.sh'"""
    assert read_back.one("mount.fstab") == "/my pool's $HOME/jails/web/fstab"


def test_a_hook_that_hangs_ends_unless_the_spec_says_otherwise() -> None:
    assert read(jail()).one("exec.timeout") == "900"
    assert read(jail(parameters={"exec.timeout": 0})).one("exec.timeout") == "0"
