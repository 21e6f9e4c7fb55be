"""Every OPTION and instruction that says something of a jail, as a field of its document; the spec's own fields win."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.effective.network import derived
from reconciler.model.diagnostic import SpecError
from tests.effective.conftest import Make

VNET = "OPTION virtualnet=:<random> default\n"
FIELDS: list[tuple[str, str, Any]] = [
    ("OPTION nostart", "state", "stopped"),
    ("OPTION nostart\nOPTION start", "state", "running"),
    ("OPTION noboot", "boot", False),
    ("OPTION priority=7", "priority", 7),
    ("OPTION tzdata=Europe/Berlin", "timezone", "Europe/Berlin"),
    ("OPTION tzdata", "timezone", None),
    ("OPTION osversion=14.3-RELEASE", "release", "14.3-RELEASE"),
    ("OPTION release=14.3-RELEASE", "release", "14.3-RELEASE"),
    ("OPTION depend=db", "depends_on", ("db",)),
    ("OPTION pkg=nginx\nOPTION pkg=git", "pkg", ("nginx", "git")),
    ("OPTION label=team:web\nLABEL team.role=front", "labels", {"team": "web", "team.role": "front"}),
    ("OPTION env=A:b\nOPTION meta=owner:ops:x", "parameters", {"env.A": "b", "meta.owner": "ops:x"}),
    ("SET allow.raw_sockets\nSET children.max=3", "parameters", {"allow.raw_sockets": True, "children.max": 3}),
    ("SET allow.nomount\nSET securelevel=-1", "parameters", {"allow.mount": False, "securelevel": -1}),
    ('SET exec.start="/bin/sh /etc/rc"\nSET persist\nSET mount.devfs', "parameters", {}),
    ("SET host.hostname=www.example.org", "hostname", "www.example.org"),
    ("OPTION limits=maxproc:deny=20 descr:few", "limits", {"maxproc": "20"}),
    ("OPTION limits=pcpu:log=80/user", "limits", {"pcpu:log": "80/user"}),
    ("OPTION device=path 'bpf*' unhide\nDEVICE path tun0 unhide", "devfs", ("path bpf* unhide", "path tun0 unhide")),
    ("ARG a=tun\nDEVICE path '$a*' unhide", "devfs", ("path tun* unhide",)),
    (r"OPTION device=include \$devfsrules_hide_all", "devfs", ("include 1",)),
    (r"DEVICE include \$devfsrules_jail_vnet", "devfs", ("include 5",)),
    ("OPTION devfs_ruleset=13", "devfs_ruleset", 13),
    ("OPTION devfs_ruleset=4\nSET devfs_ruleset=5", "devfs_ruleset", None),
    ("SET devfs_ruleset=12", "devfs_ruleset", 12),
    ("SET mount.fdescfs", "mounts.0.mountpoint", "/dev/fd"),
    ("OPTION cpuset=0-2,5", "cpuset", "0-2,5"),
    ("OPTION cpuset=all", "cpuset", None),
    ("OPTION ephemeral", "ephemeral", True),
    ("OPTION noresolv_conf\nOPTION notzdata", "unmanaged", ("resolv.conf", "localtime")),
    ("OPTION linuxfs", "mounts.2.options", "rw,linrdlnk"),
    (VNET + "OPTION macaddr=eb_x:02:00:5E:10:00:01", "network.vnet.mac", "02:00:5e:10:00:01"),
    (VNET + "OPTION macaddr=eb_x:static:02:00:5e:10:00:02", "network.vnet.mac", "02:00:5e:10:00:02"),
    (VNET + "OPTION macaddr=eb_x:static", "network.vnet.mac", None),
    (VNET + "OPTION macaddr=eb_x:random", "network.vnet.mac", None),
    ("OPTION virtualnet=:web address:10.1.2.3", "network.vnet.address", "10.1.2.3/10"),
    (VNET, "network.vnet.bridge", "ajnet"),
    (VNET, "network.vnet.gateway", "10.0.0.1"),
    ("OPTION virtualnet=:web", "network.vnet.gateway", None),
    (VNET + "OPTION nat", "network.vnet.nat", True),
    (VNET + "OPTION nat\nOPTION nonat", "network.vnet.nat", False),
    ("OPTION network=dmz 10.9.0.0/24\nOPTION virtualnet=dmz:web default", "network.vnet.gateway", "10.9.0.1"),
    ("OPTION network=dmz 10.9.0.1/32", "network.vnet", None),
    ("OPTION alias=lo1\nOPTION ip4=10.3.0.1/24", "network.addresses.0.interface", "lo1"),
    ("OPTION ip6=vtnet0|fd00::7", "network.addresses.0.address", "fd00::7/128"),
    ("OPTION alias\nOPTION ip4_inherit\nOPTION ip6_inherit", "network.inherit", True),
    ("OPTION bridge=epair:jail\nOPTION ifconfig=sb_jail:inet 10.4.0.2/24", "network.vnet.bridge", "appjail"),
    ("OPTION bridge=jail bridge:lan\nOPTION ifconfig=sb_jail:inet 10.4.0.2/24", "network.vnet.bridge", "lan"),
    ("OPTION bridge=epair:jail\nOPTION dhcp=sb_jail", "network.vnet.address", "dhcp"),
    ("OPTION vnet=em1\nOPTION dhcp=em1", "devfs.0", "path 'bpf*' unhide"),
    ("OPTION vnet=em1\nOPTION slaac=em1", "network.vnet.interface", "em1"),
    (
        "OPTION vnet=em1\nOPTION ifconfig=em1:inet 10.4.0.2/24\nOPTION defaultrouter=10.4.0.1",
        "network.vnet.gateway",
        "10.4.0.1",
    ),
    ("OPTION fstab=/usr/ports /usr/ports", "mounts.0.options", "rw"),
    ("OPTION tmpdir", "mounts.0.device", "/tmp"),
    ("OPTION x11", "mounts.0.options", "ro"),
    ("MOUNT /usr/src usr/src nullfs ro", "mounts.0.mountpoint", "/usr/src"),
    ("MOUNT /a /b\nMOUNT /c /d\nUMOUNT b", "mounts.0.device", "/c"),
    ("VOLUME --mountpoint /x --owner 80 --perm 750 data", "volumes.0.mode", "0750"),
    ("OPTION volume=data", "volumes.0.mountpoint", "/volumes/data"),
    ("VOLUME --mountpoint /x data\nMOUNT /host/d data <volumefs>", "mounts.0.device", "/host/d"),
    ('OPTION healthcheck="health_cmd:jail:true" interval:5 retries:2', "healthcheck.interval", 5.0),
    ('OPTION healthcheck="health_cmd:nc -z localhost 80"', "healthcheck.command.2", "nc -z localhost 80"),
]


def at(value: Any, path: str) -> Any:
    """The value below a document that a dotted path leads to."""
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    return value


@pytest.mark.parametrize(("makejail", "field", "value"), FIELDS)
def test_what_a_makejail_says_is_a_field_of_the_document(make: Make, makejail: str, field: str, value: Any) -> None:
    other = "kind: Jail\nname: db\nrelease: 15.1-RELEASE\n" if "depend" in makejail else ""
    spec = "" if "release" in field else "release: 15.1-RELEASE"
    assert at(make(f"CMD true\n{makejail}\n", spec, other).selected.jails["web"].doc, field) == value


def test_exposed_ports_are_numbers_ranges_and_names(make: Make) -> None:
    text = VNET + "OPTION expose=8080:http proto:tcp\nOPTION expose=100-102:200-202 proto:udp ext_if:em1\n"
    vnet = make(text).selected.jails["web"].doc.network.vnet
    found = [(port.host, port.jail, port.protocol, port.interface) for port in vnet.expose]
    assert found == [(8080, 80, "tcp", None), *((100 + n, 200 + n, "udp", "em1") for n in range(3))]


def test_a_template_and_a_resolver_are_read_beside_the_makejail(make: Make) -> None:
    template = '# mine\nexec.start: "/bin/sh /etc/rc"\nmount.devfs\nenforce_statfs: 1\nallow.mount\nvnet.interface: x\n'
    found = make("OPTION template=t\nOPTION resolv_conf=r\n", t=template, r="search x\nnameserver 10.1.1.1\n")
    doc = found.selected.jails["web"].doc
    assert (doc.parameters, doc.network.resolver) == ({"enforce_statfs": 1, "allow.mount": True}, ("10.1.1.1",))
    assert [one.code for one in found.warnings["web"]] == ["option-part-ignored"] * 2


SPEC_WINS = [
    ("OPTION noboot", "boot: true", "boot", True),
    ("OPTION osversion=14.3-RELEASE", "", "release", "15.1-RELEASE"),
    ("OPTION limits=maxproc:deny=20", 'limits: {"maxproc:deny": 30}', "limits", {"maxproc:deny": 30}),
    ("VOLUME --mountpoint /x data", "volumes: [{name: data, mountpoint: /y}]", "volumes.0.mountpoint", "/y"),
    ("MOUNT /a /b nullfs rw", "mounts: [{device: /c, mountpoint: /b/}]", "mounts.0.device", "/c"),
    ("OPTION virtualnet=:x", "network: {inherit: true}", "network.vnet", None),
    ("OPTION virtualnet=dmz:x", "network: {vnet: {bridge: b, address: 10.5.0.2/24}}", "network.vnet.bridge", "b"),
    ("LABEL team=web", "labels: {team: db}", "labels", {"team": "db"}),
]


@pytest.mark.parametrize(("makejail", "spec", "field", "value"), SPEC_WINS)
def test_the_spec_wins_and_a_contradiction_names_both_places(
    make: Make, makejail: str, spec: str, field: str, value: Any
) -> None:
    found = make(f"CMD true\n{makejail}\n", f"release: 15.1-RELEASE\n{spec}")
    assert at(found.selected.jails["web"].doc, field) == value
    (first, *_others) = found.warnings["web"]
    assert first.code == "option-conflict" and first.span is not None
    assert (first.span.file.endswith("web.makejail"), first.span.line) == (True, 2)
    assert "fleet.yaml:" in first.detail


def test_what_the_spec_leaves_open_of_its_own_volume_comes_from_the_makejail(make: Make) -> None:
    found = make(
        "VOLUME --mountpoint /y --owner 80 data\n", "release: 15.1-RELEASE\nvolumes: [{name: data, mountpoint: /y}]"
    )
    (volume, log) = found.selected.jails["web"].doc.volumes
    assert (volume.owner, log.name, found.warnings) == ("80", "log", {})


def test_a_volume_over_var_log_replaces_the_usual_one(make: Make) -> None:
    names = [volume.name for volume in make("VOLUME --mountpoint /var/log logs\n").selected.jails["web"].doc.volumes]
    assert names == ["logs"]


def test_the_host_documents_defaults_yield_to_a_makejail(make: Make) -> None:
    defaults = "kind: Host\nname: h2\nmatch: {hostname: other}\ndefaults: {boot: false}\n"
    assert make("OPTION boot\n", others=defaults).selected.jails["web"].doc.boot is True


def test_every_value_has_the_place_that_it_comes_from(make: Make) -> None:
    item = make("CMD true\nVOLUME --mountpoint /x data\nOPTION noboot\n").selected.jails["web"]
    places = [item.place(path) for path in (("volumes", 0, "name"), ("boot",), ("release",))]
    assert [(place.file.rpartition("/")[2], place.line) for place in places] == [
        ("web.makejail", 2),
        ("web.makejail", 3),
        ("fleet.yaml", 8),
    ]


SAID = [
    ("OPTION from=nginx", "option-refused"),
    ("OPTION limits=maxprocs:deny=3", "unknown-limit"),
    ("VOLUME --perm 999 data", "option-value"),
    ("DEVICE path", "devfs-rule"),
    ("SET securelevel=7", "bad-value"),
    ("OPTION depend=nobody", "unknown-jail"),
    (VNET + "OPTION alias=lo1\nOPTION ip4=10.0.0.9", "network-modes"),
    ("VOLUME --mountpoint /x a\nVOLUME --mountpoint /x b", "mountpoint-taken"),
    ("OPTION nat", "option-incomplete"),
    ("OPTION priority=high", "option-value"),
    ("OPTION tzdata=../../etc/passwd", "option-value"),
    ("OPTION virtualnet=dmz:x", "option-incomplete"),
    ("OPTION ip4=10.1.1.1", "option-incomplete"),
    ("OPTION bridge=x", "option-incomplete"),
    ("OPTION vnet=em1", "option-incomplete"),
    ("OPTION dhcp=em1", "option-incomplete"),
    ("OPTION virtualnet=:x\nOPTION slaac=em1", "option-incomplete"),
    ("OPTION vnet=em1\nOPTION vnet=em2\nOPTION slaac=em1", "option-incomplete"),
    ("OPTION limits=memoryuse", "option-incomplete"),
    ("OPTION release=mine", "option-part-ignored"),
    ("VAR d=/x\nMOUNT $d /y", "effect-unknown"),
    ("MOUNT /x /y <pseudofs>", "effect-unknown"),
    ("SET vnet.interface=em0", "effect-unknown"),
    ("SET --column 1 exec.start=x", "effect-unknown"),
]


@pytest.mark.parametrize(("makejail", "code"), SAID)
def test_what_cannot_be_a_field_says_so_at_its_line(make: Make, makejail: str, code: str) -> None:
    try:
        found = make(f"CMD true\n{makejail}\n").warnings["web"]
    except SpecError as error:
        found = error.diagnostics
    first = next(one for one in found if one.code == code)
    assert first.span is not None and first.span.file.endswith("web.makejail") and first.span.line >= 2


def test_a_jail_without_any_release_is_said_with_its_makejail_read(make: Make) -> None:
    with pytest.raises(SpecError) as caught:
        make("CMD true\n", "")
    assert [one.code for one in caught.value.diagnostics] == ["missing-release"]


def test_a_derived_address_is_the_jails_own_and_never_the_networks() -> None:
    found = {derived("10.9.0.0/29", f"jail{n}") for n in range(200)}
    assert found == {f"10.9.0.{n}/29" for n in range(2, 7)}
    assert derived("10.9.0.0/30", "web") is None


def test_two_jails_that_get_one_address_are_told(make: Make) -> None:
    taken = derived("10.0.0.0/10", "web")
    other = f"kind: Jail\nname: db\nrelease: 15.1-RELEASE\nnetwork: {{vnet: {{bridge: ajnet, address: {taken}}}}}\n"
    with pytest.raises(SpecError) as caught:
        make(VNET, others=other)
    assert [one.code for one in caught.value.diagnostics] == ["address-taken"]


def test_a_field_that_lacks_because_an_option_could_not_be_used_is_told_with_that_option(make: Make) -> None:
    with pytest.raises(SpecError) as caught:
        make("OPTION virtualnet=named:web default\nOPTION nat\nOPTION ephemeral\n")
    told = [(one.code, one.severity, one.span and one.span.line) for one in caught.value.diagnostics]
    assert ("option-incomplete", "warning", 1) in told and ("option-value", "error", 2) in told
    assert {code for code, _severity, _line in told} == {"option-incomplete", "option-value"}
