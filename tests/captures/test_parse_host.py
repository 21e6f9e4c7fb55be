"""mount(8), ifconfig(8), rctl(8), devfs(8), sysctl(8), pfctl(8): what they printed, as values."""

import pytest
from captured import DATA, answer, answers

from reconciler.hosts.freebsd import devfs, mount, network, rctl, sysctl
from reconciler.model.command import Completed
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import MountRow


def test_mounts_are_read_with_spaces_in_paths():
    rows = mount.parse_listing(answer("08-mounts.txt", "mount --libxo json,pretty"))
    assert rows[1] == MountRow("devfs", "/dev", "devfs")
    assert rows[-1] == MountRow("/tmp/m/lower", "/tmp/m/sp ace", "nullfs", frozenset({"local", "read-only"}))
    assert MountRow("zroot/jails/j1", "/jails/j1", "zfs", frozenset({"local", "nfsv4acls"})) in rows


def test_a_bridge_is_read_with_its_member_description_and_address():
    (bridge,) = network.parse_interfaces(answer("14-network-limits.txt", "ifconfig bridge0"))
    assert (bridge.name, bridge.description, bridge.ether) == ("bridge0", "reconciler: lan", "58:9c:fc:10:3c:29")
    assert bridge.addresses == ("10.77.0.1/24",)
    assert bridge.members == ("e0a_web",)
    assert bridge.groups == {"bridge"}
    assert {"UP", "RUNNING"} <= bridge.flags


def test_several_addresses_and_interfaces_are_kept_apart():
    lo0 = answer("14-network-limits.txt", "ifconfig lo0 inet").stdout
    epair = answer("14-network-limits.txt", "ifconfig e0b_web", nth=1).stdout
    first, second = network.parse_interfaces(Completed(("ifconfig", "-a"), 0, lo0 + epair))
    assert (first.name, first.addresses) == ("lo0", ("127.0.0.1/8", "127.0.5.1/32"))
    assert (second.name, second.addresses, second.groups) == ("e0b_web", (), {"epair"})


def test_inet6_addresses_lose_their_scope():
    stdout = b"lo0: flags=8049<UP,LOOPBACK> metric 0 mtu 16384\n"
    stdout += b"\tinet6 ::1 prefixlen 128\n\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x2\n"
    (lo0,) = network.parse_interfaces(Completed(("ifconfig", "-a"), 0, stdout))
    assert lo0.addresses == ("::1/128", "fe80::1/64")


def test_limits_are_read():
    assert rctl.parse_listing(answer("14-network-limits.txt", "rctl")) == {
        "jail:rc1:pcpu:deny=50",
        "jail:rc1:memoryuse:deny=536870912",
        "jail:rc1:maxproc:deny=20",
    }


def test_limits_that_are_switched_off_are_no_error():
    assert rctl.parse_listing(answer("11-sysctl.txt", "rctl")) == frozenset()


def test_any_other_failure_of_rctl_is_one():
    with pytest.raises(HostError, match="command-failed"):
        rctl.parse_listing(Completed(("rctl",), 1, b"", b"rctl: something else\n"))


def test_rulesets_are_read():
    assert devfs.parse_listing(answer("09-devfs.txt", "devfs rule showsets", nth=1)) == {1, 2, 3, 4, 5, 100}


def test_facts_are_read_though_some_names_are_unknown():
    parameters = answer("11-sysctl.txt", "sysctl security.jail").stdout
    told = (
        b"kern.ostype: FreeBSD\nkern.osrelease: 15.1-RELEASE-p1\nkern.osreldate: 1501000\nkern.hostname: fbsd15\n"
        b"kern.hostuuid: 4c4c4544-0000-2010-8020-80c04f202020\nhw.machine: amd64\nhw.machine_arch: amd64\n"
        b"kern.securelevel: -1\nkern.racct.enable: 0\nnet.inet.ip.forwarding: 0\n"
    )
    stderr = b"sysctl: unknown oid 'kern.features.vimage'\n"
    facts = sysctl.parse_query(Completed(sysctl.query(), 1, told + parameters, stderr), {"pf": True})
    assert (facts.hostname, facts.osrelease, facts.osreldate) == ("fbsd15", "15.1-RELEASE-p1", 1501000)
    assert (facts.arch, facts.securelevel) == ("amd64", -1)
    assert facts.features == {"racct": False, "forwarding": False, "forwarding6": False, "vimage": False, "pf": True}
    assert {"allow.mount", "allow.mount.zfs", "ip4", "ip4.addr", "vnet", "meta", "host.hostname"} <= facts.parameters


def test_a_host_that_is_no_freebsd_is_refused():
    with pytest.raises(HostError, match="command-missing"):
        sysctl.parse_query(Completed(sysctl.query(), 127, b"", b"sysctl: not found\n"), {})


def test_anchors_of_ours_are_told_from_those_of_others():
    # sbin/pfctl/pfctl.c, pfctl_show_anchors: two blanks, the whole path; with -v those below too.
    said = b"  blocklistd\n  reconciler\n  reconciler/db\n  reconciler/web\n"
    assert network.parse_anchors(Completed(network.anchors(), 0, said)) == {"reconciler/db", "reconciler/web"}


@pytest.mark.parametrize(
    ("text", "called"),
    [
        (b"", False),
        (b'nat-anchor "other/*" all {\n}\n', False),
        (b'nat-anchor "reconciler" all {\n}\n', True),
        (b'nat-anchor "reconciler/*" all\n', True),
        (b'nat-anchor "*" all {\n}\n', True),
    ],
)
def test_whether_the_main_ruleset_calls_our_anchor(text, called):
    assert network.parse_called(Completed(network.rules(), 0, text)) is called


def test_a_host_without_pf_is_told_from_one_that_fails():
    assert network.unavailable(answer("14-network-limits.txt", "pfctl -s info"))
    assert not network.unavailable(Completed(("pfctl",), 1, b"", b"pfctl: syntax error\n"))


def test_every_capture_was_read():
    text = (DATA / "14-network-limits.txt").read_text()
    assert len(answers("14-network-limits.txt")) == sum(line.startswith("$ ") for line in text.splitlines())
