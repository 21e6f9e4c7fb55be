"""What the other facets promise, over any host that may be changed freely and whose pool holds `place`.

Plain functions, as in datasets.py.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable

from datasets import Place, refuses

from reconciler.model.ports import Observed, Request

CHECKS: list[Callable[[Place], None]] = []


def check(function: Callable[[Place], None]) -> Callable[[Place], None]:
    """Add a function to the suite."""
    CHECKS.append(function)
    return function


def see(place: Place, *facets: str) -> Observed:
    """Observe these facets."""
    request = Request(place.dataset, place.mountpoint, frozenset(facets))
    return place.host.parse(request, place.host.observe(request))


@check
def a_folder_is_mounted_and_unmounted(place: Place) -> None:
    for name in ("lower", "upper a"):
        place.host.files.mkdir(f"{place.mountpoint}/{name}")
    target = f"{place.mountpoint}/upper a"
    place.host.mounts.mount("nullfs", f"{place.mountpoint}/lower", target, "ro")
    (found,) = [row for row in see(place, "mounts").mounts if row.target == target]
    assert (found.source, found.fstype) == (f"{place.mountpoint}/lower", "nullfs")
    assert "read-only" in found.options
    place.host.mounts.unmount(target)
    assert target not in {row.target for row in see(place, "mounts").mounts}
    refuses("not-mounted", lambda: place.host.mounts.unmount(target))


@check
def what_lies_below_a_folder_is_listed_and_no_link_is_followed(place: Place) -> None:
    for name in ("top", "top/in side", "top/in side/deep"):
        place.host.files.mkdir(f"{place.mountpoint}/{name}")
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        link = tarfile.TarInfo("away")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    place.host.files.extract([held.getvalue()], f"{place.mountpoint}/top")
    assert sorted(place.host.files.listed(f"{place.mountpoint}/top", "d")) == ["in side", "in side/deep"]
    assert place.host.files.listed(f"{place.mountpoint}/top", "l") == ("away",)


@check
def a_jail_is_made_changed_and_removed(place: Place) -> None:
    place.host.files.mkdir(f"{place.mountpoint}/root")
    parameters = {"path": f"{place.mountpoint}/root", "persist": "", "host.hostname": "build.example"}
    place.host.jails.create("build", parameters)
    (row,) = see(place, "jails").jails
    assert (row.name, row.path, row.dying) == ("build", f"{place.mountpoint}/root", False)
    assert row.parameters["host.hostname"] == "build.example"
    refuses("jail-exists", lambda: place.host.jails.create("build", parameters))
    place.host.jails.modify("build", {"host.hostname": "other.example"})
    assert see(place, "jails").jails[0].parameters["host.hostname"] == "other.example"
    place.host.jails.remove("build")
    assert see(place, "jails").jails == ()
    refuses("jail-missing", lambda: place.host.jails.remove("build"))
    refuses("jail-missing", lambda: place.host.jails.exec("build", ["true"]) and None)


@check
def a_configuration_that_jail_cannot_read_is_refused(place: Place) -> None:
    good, bad = f"{place.mountpoint}/good.conf", f"{place.mountpoint}/bad.conf"
    place.host.files.write(good, b'web { path = "/"; persist; }\n')
    place.host.files.write(bad, b"web { path = \n")
    place.host.jails.check(good)
    refuses("jail-conf-invalid", lambda: place.host.jails.check(bad))


@check
def a_jail_starts_and_stops_by_its_configuration(place: Place) -> None:
    conf, root = f"{place.mountpoint}/jail.conf", f"{place.mountpoint}/root"
    place.host.files.mkdir(f"{root}/dev")
    text = f'web {{ path = "{root}"; host.hostname = "web.example"; mount.devfs; devfs_ruleset = 4; persist; }}\n'
    place.host.files.write(conf, text.encode())
    place.host.jails.start(conf, "web")
    seen = see(place, "jails", "mounts")
    assert [row.name for row in seen.jails] == ["web"]
    assert f"{root}/dev" in {row.target for row in seen.mounts}
    place.host.jails.stop(conf, "web")
    seen = see(place, "jails", "mounts")
    assert seen.jails == ()
    assert f"{root}/dev" not in {row.target for row in seen.mounts}


@check
def a_jail_whose_hook_fails_does_not_start(place: Place) -> None:
    conf = f"{place.mountpoint}/jail.conf"
    text = f'web {{ path = "{place.mountpoint}"; exec.prepare = "/usr/bin/false"; persist; }}\n'
    place.host.files.write(conf, text.encode())
    refuses("jail-start-failed", lambda: place.host.jails.start(conf, "web"))
    assert see(place, "jails").jails == ()


@check
def a_bridge_comes_with_its_description_and_addresses_and_goes(place: Place) -> None:
    place.host.network.create_bridge("lan0", "reconciler: lan")
    place.host.network.add_address("lan0", "10.77.0.1/24")
    place.host.network.add_address("lan0", "fd00::1/64")
    (lan,) = [row for row in see(place, "interfaces").interfaces if row.name == "lan0"]
    assert lan.description == "reconciler: lan"
    assert {"10.77.0.1/24", "fd00::1/64"} <= set(lan.addresses)
    assert "UP" in lan.flags
    place.host.network.remove_address("lan0", "10.77.0.1/24")
    (lan,) = [row for row in see(place, "interfaces").interfaces if row.name == "lan0"]
    assert "10.77.0.1/24" not in lan.addresses
    place.host.network.destroy("lan0")
    refuses("interface-missing", lambda: place.host.network.destroy("lan0"))


@check
def an_epair_is_made_with_its_description_and_goes_as_a_whole(place: Place) -> None:
    outer = place.host.network.create_epair("reconciler build: /here 10.77.0.2")
    rows = {row.name: row for row in see(place, "interfaces").interfaces}
    assert rows[outer].description == "reconciler build: /here 10.77.0.2"
    assert "UP" in rows[outer].flags
    assert f"{outer.removesuffix('a')}b" in rows
    place.host.network.describe(outer, "other words")
    rows = {row.name: row for row in see(place, "interfaces").interfaces}
    assert rows[outer].description == "other words"
    place.host.network.destroy(outer)
    assert not {row.name for row in see(place, "interfaces").interfaces if row.name.startswith("epair")}


@check
def rules_of_an_anchor_are_replaced_whole_and_flushed(place: Place) -> None:
    nat = "nat on vtnet0 inet from 10.77.0.0/24 to any -> 10.0.2.15\n"
    place.host.network.load_anchor("reconciler/web", nat)
    assert see(place, "firewall").firewall == {"reconciler/web"}
    refuses("pf-failed", lambda: place.host.network.load_anchor("reconciler/web", "no such rule\n"))
    assert see(place, "firewall").firewall == {"reconciler/web"}
    place.host.network.flush_anchor("reconciler/web")
    assert not see(place, "firewall").firewall


@check
def a_limit_is_added_and_removed(place: Place) -> None:
    place.host.limits.add("jail:web:memoryuse:deny=512M")
    assert see(place, "limits").limits == {"jail:web:memoryuse:deny=536870912"}
    refuses("limit-failed", lambda: place.host.limits.add("jail:web:nosuch:deny=1"))
    place.host.limits.remove("jail:web:memoryuse:deny=536870912")
    assert see(place, "limits").limits == frozenset()
    refuses("limit-failed", lambda: place.host.limits.remove("jail:web:memoryuse:deny=536870912"))


@check
def a_ruleset_is_loaded_whole_or_not_at_all(place: Place) -> None:
    place.host.devices.load(100, ["hide", "path null unhide"])
    assert 100 in see(place, "devices").devices
    refuses("devices-failed", lambda: place.host.devices.load(100, ["hide", "path bogus bogusaction"]))
    assert 100 not in see(place, "devices").devices
    place.host.devices.load(101, ["hide"])
    place.host.devices.delete(101)
    assert 101 not in see(place, "devices").devices


@check
def a_file_is_made_read_and_removed(place: Place) -> None:
    files, path = place.host.files, f"{place.mountpoint}/deep/er/file"
    assert files.read(path) is None
    files.mkdir(f"{place.mountpoint}/deep/er")
    files.mkdir(f"{place.mountpoint}/deep/er")
    files.write(path, b"\0\xff")
    assert files.read(path) == b"\0\xff"
    assert files.sha256(path) == hashlib.sha256(b"\0\xff").hexdigest()
    assert files.names(f"{place.mountpoint}/deep/er") == ("file",)
    files.remove(path)
    files.remove(path)
    assert files.read(path) is None
    assert (files.sha256(path), files.names(path), files.names(f"{place.mountpoint}/deep/er")) == ("", (), ())


@check
def a_large_file_is_sent_in_order(place: Place) -> None:
    path, data, pieces = f"{place.mountpoint}/large", bytes(range(256)) * 4096, list[bytes]()
    place.host.files.write(path, data)
    place.host.files.send(path, pieces.append)
    assert b"".join(pieces) == data
    refuses("file-failed", lambda: place.host.files.send(f"{path}r", pieces.append))
