"""What a start sets, or leaves as the root has it: processors, the ruleset of devices, MAC address, files of /etc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.runtime import files, names
from reconciler.runtime.identity import config_id
from tests.runtime.jails import FULL, HOSTID, VNET, jail, runtime
from tests.runtime.machine import Place

MAC = "02:00:5e:10:00:01"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine without jails."""
    place = Place(tmp_path / "machine")
    yield place
    place.power_off()


def test_a_jail_runs_on_its_processors_alone(place: Place) -> None:
    place.jail(jail(cpuset="1"))
    assert place.start("web").status == 0
    assert place.ok("cpuset", "-g", "-j", "web") == "jail 1 mask: 1\n"


def test_processors_that_the_host_lacks_stop_the_start(place: Place) -> None:
    place.jail(jail(cpuset="0-7"))
    done = place.start("web")
    assert done.status == 1
    assert b"cpuset refuses the processors 0-7; the host has 2" in done.stderr
    assert place.run("jls", "-j", "web").status == 1


def test_cpuset_tells_of_a_jail_that_says_nothing_and_of_none(place: Place) -> None:
    place.jail(jail())
    assert place.start("web").status == 0
    assert place.ok("cpuset", "-g", "-j", "web") == "jail 1 mask: 0, 1\n"
    assert place.ok("cpuset", "-l", "all", "-j", "1") == ""
    assert place.run("cpuset", "-l", "0-x", "-j", "web").status == 1
    assert place.run("cpuset", "-l", "0", "-j", "nobody").status == 1
    assert place.run("cpuset", "-l", "0").status == 1


def test_files_that_are_not_managed_are_as_the_root_has_them(place: Place) -> None:
    network = {"inherit": True}
    place.runner.write("/etc/resolv.conf", b"nameserver 10.5.5.5\n")
    place.runner.write("/etc/localtime", b"zone of the host")
    place.jail(jail(network=network, unmanaged=["resolv.conf", "localtime"]))
    place.jail(jail(name="other", network=network))
    assert place.start("web").status == place.start("other").status == 0
    assert place.inside("other", "cat", "/etc/resolv.conf", "/etc/localtime") == "nameserver 10.5.5.5\nzone of the host"
    assert place.run("jexec", "web", "ls", "/etc/resolv.conf", "/etc/localtime").stdout == b""


def test_resolvers_of_the_host_document_do_not_count_against_unmanaged() -> None:
    asked = jail(network={"inherit": True, "resolver": ["10.0.0.1"]}, unmanaged=["resolv.conf"])
    assert "resolv.conf" not in files(runtime(asked))


def test_the_jails_end_has_the_mac_address_that_is_said(place: Place) -> None:
    vnet = {**VNET, "nat": False, "expose": []}
    place.jail(jail(network={"vnet": {**vnet, "mac": MAC}}))
    assert place.start("web").status == 0
    assert f"ether {MAC}" in place.inside("web", "ifconfig")
    derived = names(HOSTID, "web")
    assert derived.inner_mac not in place.inside("web", "ifconfig")
    assert f"ether {derived.outer_mac}" in place.ok("ifconfig", derived.outer)


def test_a_ruleset_of_the_hosts_own_is_used_when_it_holds_rules(place: Place) -> None:
    place.jail(jail(devfs_ruleset=13), devfs_ruleset=13)
    refused = place.start("web")
    assert refused.status == 1 and b"devfs ruleset 13 is empty" in refused.stderr
    place.ok("devfs", "rule", "-s", "13", "add", "path", "null", "unhide")
    assert place.start("web").status == 0
    assert place.ok("jls", "-j", "web", "devfs_ruleset") == "13\n"


def test_a_new_field_restarts_only_jails_that_use_it() -> None:
    assert config_id(runtime(FULL)) == "6632a003b70e2fad8203ec138202be46177e224433563ea93b289bb6b41ef2a9"
    base = config_id(runtime(jail()))
    for fields in ({"cpuset": "0"}, {"unmanaged": ["localtime"]}):
        assert config_id(runtime(jail(**fields))) != base
    vnet = jail(network={"vnet": VNET})
    assert config_id(runtime(vnet)) != config_id(runtime(jail(network={"vnet": {**VNET, "mac": MAC}})))


def test_the_file_systems_of_linux_are_mounted_in_their_places(place: Place) -> None:
    lines = (("linprocfs", "/proc", "rw"), ("linsysfs", "/sys", "rw"), ("fdescfs", "/dev/fd", "rw,linrdlnk"))
    mounts = [{"device": kind, "mountpoint": path, "type": kind, "options": options} for kind, path, options in lines]
    place.jail(jail(mounts=mounts))
    done = place.start("web")
    assert done.status == 0, done.stderr
    table = place.ok("mount")
    assert all(f"{kind} on /reconciler/live/web{path} ({kind}" in table for kind, path, _options in lines)
    assert place.stop("web").status == 0 and place.mounted() == []


def test_an_ephemeral_root_begins_anew_and_what_is_kept_stays(place: Place) -> None:
    place.jail(jail(ephemeral=True, keep=["/etc/kept"], volumes=[{"name": "data", "mountpoint": "/data"}]))
    assert place.start("web").status == 0
    place.inside("web", "sh", "-c", "echo 1 > /etc/gone; echo 2 > /etc/kept; echo 3 > /data/there")
    assert place.stop("web").status == 0 and place.start("web").status == 0
    assert place.inside("web", "cat", "/etc/kept", "/data/there") == "2\n3\n"
    assert place.run("jexec", "web", "cat", "/etc/gone").status != 0
    place.inside("web", "sh", "-c", "echo 4 > /etc/gone; echo 5 > /etc/kept")
    # Removed by hand, as after a loss of power: nothing was saved.
    place.ok("jail", "-r", "web")
    assert place.start("web").status == 0
    assert place.inside("web", "cat", "/etc/kept") == "5\n"
    assert place.run("jexec", "web", "cat", "/etc/gone").status != 0
    assert place.stop("web").status == 0
    place.ok("zfs", "snapshot", "zroot/reconciler/jails/web/1@mine")
    refused = place.start("web")
    assert refused.status == 1 and b"a snapshot taken since is in the way" in refused.stderr
    assert place.mounted() == []
