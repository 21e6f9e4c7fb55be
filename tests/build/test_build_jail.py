"""What a build jail has: names are found as on the host, and no layer says how; devices and memory as a jail's."""

from __future__ import annotations

from tests.build.test_layers import POOL, WEB, makejail, shell
from tests.fleet import Fleet, problems

HOST = b"nameserver 192.0.2.53\n"
"""resolver(5): without /etc/resolv.conf, which no base.txz has, the only server asked is on 127.0.0.1."""


def in_layers(fleet: Fleet, path: str) -> dict[str, str]:
    """What stands at a path in each layer's snapshot, by the order of their making."""
    names = shell(fleet, "zfs", "list", "-H", "-o", "name", "-r", "-t", "snapshot", f"{POOL}/layers").split()
    found = {}
    for number, name in enumerate(names):
        shell(fleet, "zfs", "clone", "-o", "mountpoint=legacy", name, f"{POOL}/look{number}")
        shell(fleet, "mkdir", "-p", f"/mnt/{number}")
        shell(fleet, "mount", "-t", "zfs", f"{POOL}/look{number}", f"/mnt/{number}")
        found[name.partition("@")[2]] = shell(fleet, "cat", f"/mnt/{number}{path}")
    return found


def test_names_are_found_in_a_build_and_no_layer_says_how(fleet: Fleet) -> None:
    fleet.runner.write("/etc/resolv.conf", HOST, 0o644)
    fleet.write(WEB)
    makejail(fleet, "CMD cat /etc/resolv.conf >/root/one", "CMD cat /etc/resolv.conf >/root/two")
    assert problems(fleet.apply()) == []
    assert shell(fleet, "jexec", "web", "cat", "/root/one", "/root/two").encode() == HOST * 2
    assert set(in_layers(fleet, "/etc/resolv.conf").values()) == {""}


def test_what_a_makejail_wrote_there_stays_and_is_used(fleet: Fleet) -> None:
    fleet.runner.write("/etc/resolv.conf", HOST, 0o644)
    fleet.write(WEB)
    makejail(fleet, "CMD echo own >/etc/resolv.conf", "CMD cat /etc/resolv.conf >/root/two")
    assert problems(fleet.apply()) == []
    assert shell(fleet, "jexec", "web", "cat", "/root/two") == "own\n"
    assert set(in_layers(fleet, "/etc/resolv.conf").values()) == {"own\n"}


def test_a_build_without_network_is_lent_nothing(fleet: Fleet) -> None:
    fleet.runner.write("/etc/resolv.conf", HOST, 0o644)
    fleet.write(WEB + '---\nkind: Host\nname: here\nmatch: {hostname: "*"}\nbuild: {network: none}\n')
    makejail(fleet, "CMD [ ! -e /etc/resolv.conf ]")
    assert problems(fleet.apply()) == []


def test_nothing_is_built_where_a_jail_would_see_every_device(fleet: Fleet) -> None:
    # Seen on FreeBSD 15.1: `devfs rule -s 555 show` of a set without rules ends with 0, and devfs shows all.
    fleet.write(WEB)
    makejail(fleet, "CMD true")
    shell(fleet, "devfs", "rule", "-s", "4", "delset")
    (failed, *_others) = fleet.apply().failed
    assert failed.diagnostics[0].code == "devfs-ruleset-empty"
    assert [name for name in shell(fleet, "jls", "name").split() if name.startswith("rcb-")] == []


def test_a_build_jail_has_system_v_memory_of_its_own(fleet: Fleet) -> None:
    # jail(8): sysvshm and its kin are `disable` where a jail does not ask, and initdb(1) fails.
    fleet.write(WEB)
    makejail(fleet, 'RAW jls -j "$RECONCILER_JAIL" sysvshm sysvsem sysvmsg >"$APPJAIL_JAILDIR/root/found"')
    assert problems(fleet.apply()) == []
    assert shell(fleet, "jexec", "web", "cat", "/root/found").split() == ["new", "new", "new"]
