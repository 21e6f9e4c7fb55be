"""Base systems made of packages: made, patched, and what a repository may do to them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace

import pytest

from reconciler.hosts.freebsd import pkgbase as argv
from reconciler.hosts.sandbox import base_client, base_mirror
from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.signing import make_key
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import Offer
from reconciler.releases import pkgbase
from reconciler.releases.tag import Updates
from tests.fleet import KEY, Fleet, problems
from tests.releases.test_patch import failures, read, releases

DOCUMENT = "kind: Release\nname: 15.1-RELEASE\nmethod: pkgbase\nsets: [{sets}]\n---\n"
JAIL = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\npatch_level: {level}\n"
STRANGER = make_key("stranger", 2048)


def spec(level: int, sets: str = "base-jail") -> str:
    return DOCUMENT.format(sets=sets) + JAIL.format(level=level)


@pytest.fixture
def packaged(fleet: Fleet) -> Fleet:
    """A host with 15.1-RELEASE-p1 made of packages, and a repository that leads to it."""
    fleet.publish_base("15.1-RELEASE", 1)
    fleet.write(spec(1))
    assert problems(fleet.apply()) == []
    return fleet


def test_a_release_is_made_of_packages_and_patched_as_one(packaged: Fleet) -> None:
    first = "zroot/reconciler/releases/15.1-RELEASE-p1"
    assert releases(packaged) == {"15.1-RELEASE-p1"}
    assert b'"15.1-RELEASE-p1"' in (read(packaged, first, "bin/freebsd-version") or b"")
    assert read(packaged, first, "usr/bin/true") == b"#!/bin/sh\n"
    assert packaged.decide().plan.empty
    packaged.publish_base("15.1-RELEASE", 3)
    packaged.write(spec(3))
    assert packaged.titles()[0] == ": patch release 15.1-RELEASE-p1 to -p3"
    assert problems(packaged.apply()) == []
    assert packaged.decide().plan.empty
    for dataset in ("zroot/reconciler/releases/15.1-RELEASE-p3", "zroot/reconciler/jails/web/2"):
        assert b'"15.1-RELEASE-p3"' in (read(packaged, dataset, "bin/freebsd-version") or b"")
        assert read(packaged, dataset, "lib/libpatched.so") == b"of p3\n"
        rows = [json.loads(line) for line in (read(packaged, dataset, "var/db/pkg/local.sqlite") or b"").splitlines()]
        assert {row["name"]: row["version"] for row in rows} == {
            "FreeBSD-runtime": "15.1p3", "FreeBSD-split": "15.1p3", "FreeBSD-utilities": "15.1",
            "FreeBSD-set-minimal-jail": "15.1p3", "FreeBSD-set-base-jail": "15.1p3",
        }  # fmt: skip
        assert read(packaged, dataset, "var/db/pkg/repos/FreeBSD-base/db") is None
        assert read(packaged, dataset, "mnt/inside.conf") is None
    assert b'"15.1-RELEASE-p1"' in (read(packaged, first, "bin/freebsd-version") or b"")
    assert packaged.runner.tree("/reconciler/build") == {}


def test_the_sets_are_those_of_the_document(fleet: Fleet) -> None:
    fleet.publish_base("15.1-RELEASE", 0)
    fleet.write(spec(0, "minimal-jail"))
    assert problems(fleet.apply()) == []
    dataset = "zroot/reconciler/releases/15.1-RELEASE-p0"
    assert read(fleet, dataset, "bin/freebsd-version") and read(fleet, dataset, "usr/bin/true") is None
    fleet.write(spec(0, "minimal-jail").replace("15.1-RELEASE", "15.1-RC1").replace("minimal-jail", "nonsense"))
    report = fleet.apply()
    assert failures(report)[0] == "set-unknown"
    assert "Its sets: base-jail, minimal-jail." in report.failed[0].diagnostics[0].detail


def altered(fleet: Fleet, file: str, how: str) -> None:
    path = fleet.repository / file
    data = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(data[:-20])
        case "altered":
            path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])


CATALOGUE, RUNTIME = ("data.pkg", "packagesite.pkg"), ("All/FreeBSD-runtime-15.1p2.pkg",)


def said(fleet: Fleet) -> str:
    """What went wrong in an apply that made nothing."""
    report = fleet.apply()
    assert failures(report)[0] == "pkgbase-fetch-failed"
    assert releases(fleet) == {"15.1-RELEASE-p1"}
    return report.failed[0].diagnostics[0].detail


def test_a_spoilt_repository_makes_nothing(packaged: Fleet) -> None:
    packaged.write(spec(2))
    for how in ("missing", "truncated", "altered"):
        for files in (CATALOGUE, RUNTIME):
            packaged.publish_base("15.1-RELEASE", 2)
            for file in files:
                altered(packaged, file, how)
            assert said(packaged), (how, files)
    assert packaged.runner.tree("/reconciler/build") == {}
    packaged.publish_base("15.1-RELEASE", 2)
    assert problems(packaged.apply()) == []


def test_another_key_is_refused_whatever_the_tree_trusts(packaged: Fleet) -> None:
    packaged.write(spec(2))
    packaged.publish_base("15.1-RELEASE", 2, None)
    assert "No signature found" in said(packaged)
    packaged.publish_base("15.1-RELEASE", 2, STRANGER)
    assert "No trusted public keys found" in said(packaged)
    for name, inner in (("data.pkg", "data"), ("packagesite.pkg", "packagesite.yaml")):
        files = dict(base_client.unpacked((packaged.repository / name).read_bytes()))
        files[f"{inner}.pub"] = KEY.pem()
        (packaged.repository / name).write_bytes(base_mirror.packed({n: (0o644, d) for n, d in files.items()}))
    assert "rsa signature verification failure" in said(packaged)


def test_an_older_catalogue_is_refused(packaged: Fleet) -> None:
    packaged.publish_base("15.1-RELEASE", 3)
    packaged.write(spec(3))
    assert problems(packaged.apply()) == []
    packaged.write(spec(4))
    assert failures(packaged.apply())[0] == "patch-level-unavailable"
    packaged.publish_base("15.1-RELEASE", 2)
    assert failures(packaged.apply())[0] == "pkgbase-repository-older"
    assert releases(packaged) == {"15.1-RELEASE-p1", "15.1-RELEASE-p3"}


IN_PLACE = DOCUMENT.format(sets="base-jail") + """
kind: Jail
name: web
release: 15.1-RELEASE
patch_level: {level}
update: {{strategy: in_place}}
"""
TRICKS = (
    "mkdir -p /usr/local/etc/pkg/repos && echo '{broken' > /usr/local/etc/pkg.conf"
    " && echo mine > /etc/rc.local && echo '# mine' >> /etc/rc && echo kept > /mine"
)


def test_a_jail_that_keeps_its_root_is_upgraded_and_its_own_files_stay(fleet: Fleet) -> None:
    fleet.publish_base("15.1-RELEASE", 1)
    fleet.write(IN_PLACE.format(level=1))
    assert problems(fleet.apply()) == []
    assert fleet.runner.run(Command(("jexec", "web", "/bin/sh", "-c", TRICKS))).status == 0
    fleet.publish_base("15.1-RELEASE", 2)
    fleet.write(IN_PLACE.format(level=2))
    assert problems(fleet.apply()) == []
    live = fleet.runner.tree("/reconciler/live/web")
    assert b'"15.1-RELEASE-p2"' in live["bin/freebsd-version"]
    assert live["etc/rc"].endswith(b"# mine\n") and live["etc/rc.pkgnew"].startswith(b"# p2\n")
    assert live["mine"] == b"kept\n"
    asked = ("zfs", "get", "-H", "-o", "value", "reconciler:skipped", "zroot/reconciler/jails/web/2@sealed")
    assert fleet.runner.run(Command(asked)).stdout == b"/etc/rc\n"
    assert fleet.decide().plan.empty


OFFERED = {
    name: Offer(name, version, "", "", needs)
    for name, version, needs in (
        ("FreeBSD-runtime", "15.1p2", ("FreeBSD-new",)),
        ("FreeBSD-new", "15.1p2", ()),
        ("FreeBSD-same", "15.1", ("FreeBSD-runtime", "pkg")),
        ("FreeBSD-other", "15.1p2", ()),
    )
}


@pytest.mark.parametrize(
    ("installed", "wanted", "names"),
    [
        ({"FreeBSD-runtime": "15.1", "FreeBSD-same": "15.1"}, (), ("FreeBSD-new", "FreeBSD-runtime")),
        ({"FreeBSD-runtime": "15.1p2", "FreeBSD-new": "15.1p2"}, (), ()),
        ({}, ("FreeBSD-same",), ("FreeBSD-new", "FreeBSD-runtime", "FreeBSD-same")),
        ({"nginx": "1.28", "FreeBSD-gone": "15.1"}, (), ()),
    ],
)
def test_what_is_fetched_is_what_changed_and_what_it_needs(installed, wanted, names) -> None:
    assert pkgbase.changed(installed, OFFERED, wanted) == names


@pytest.mark.parametrize(
    ("versions", "level"),
    [
        ({"FreeBSD-runtime": "15.1"}, 0),
        ({"FreeBSD-runtime": "15.1p2", "FreeBSD-x": "15.1p10", "pkg": "2.4.2", "FreeBSD-ports": "abc"}, 10),
        ({"FreeBSD-runtime": "15.2"}, None),
        ({"FreeBSD-runtime": "15.1", "FreeBSD-x": "14.3p1"}, None),
        ({"FreeBSD-x": "15.1"}, None),
        ({}, None),
    ],
)
def test_the_level_is_that_of_the_last_package_that_changed(versions, level) -> None:
    if level is not None:
        assert pkgbase.newest(versions, "15.1-RELEASE", "u") == level
        return
    with pytest.raises(HostError) as failed:
        pkgbase.newest(versions, "15.1-RELEASE", "u")
    assert failed.value.diagnostics[0].code == "pkgbase-repository-other"


def test_freebsds_own_repository_and_keys_are_those_of_its_configuration() -> None:
    found = pkgbase.repository(Updates(), "15.1-RELEASE", "FreeBSD:15:aarch64")
    assert found.url == "pkg+https://pkg.FreeBSD.org/FreeBSD:15:aarch64/base_release_1"
    files = pkgbase.files(found, "/w")
    said = json.loads(files["repos/base.conf"])["FreeBSD-base"]
    assert (said["mirror_type"], said["signature_type"], said["fingerprints"]) == ("srv", "fingerprints", "/w/keys")
    assert files["keys/trusted/1"].startswith(b'function: "sha256"\nfingerprint: "1d7b45d2')
    assert json.loads(files["inside/base.conf"])["FreeBSD-base"]["url"] == "file:///mnt/repo"
    assert pkgbase.repository(replace(Updates(), fingerprints=("ab",)), "16.0-RELEASE", "x").fingerprints == ("ab",)
    with pytest.raises(HostError) as failed:
        pkgbase.repository(Updates(), "16.0-RELEASE", "FreeBSD:16:amd64")
    assert failed.value.diagnostics[0].code == "pkgbase-untrusted"


def test_the_command_lines() -> None:
    outside = (
        "pkg -R /w/repos -o ABI=FreeBSD:15:amd64 -o IGNORE_OSVERSION=yes -o PKG_DBDIR=/w/db -o PKG_CACHEDIR=/w/cache"
    )
    abi = "FreeBSD:15:amd64"
    assert " ".join(argv.update("/w", abi)) == f"{outside} update -f -r FreeBSD-base"
    assert argv.catalogue("/w", abi, "%n\t%v")[-5:] == ("rquery", "-U", "-r", "FreeBSD-base", "%n\t%v")
    fetch = f"{outside} fetch -U -y -r FreeBSD-base -o /w/repo -- FreeBSD-a"
    assert " ".join(argv.fetch("/w", abi, ["FreeBSD-a"])) == fetch
    assert argv.index("/w") == ("pkg", "repo", "/w/repo")
    query = "pkg -j j -C /dev/null -R /var/empty -o PKG_ENABLE_PLUGINS=no query -a"
    assert argv.installed("j") == (*query.split(), "%n\t%v")
    assert " ".join(argv.upgrade("j", abi)) == (
        "pkg -j j -C /mnt/inside.conf -R /mnt/inside -o ABI=FreeBSD:15:amd64 -o IGNORE_OSVERSION=yes "
        "upgrade -y -r FreeBSD-base"
    )
    assert " ".join(argv.install("/t", "/w", abi, ["FreeBSD-set-base-jail"])) == (
        "pkg --rootdir /t -R /w/local -o ABI=FreeBSD:15:amd64 -o IGNORE_OSVERSION=yes install -y -r FreeBSD-base -- "
        "FreeBSD-set-base-jail"
    )


@pytest.mark.parametrize(("judge", "code"), [(pkgbase.fetched, "fetch"), (pkgbase.installed, "install")])
def test_a_status_is_an_error_with_the_end_of_what_was_said(judge, code) -> None:
    judge(Completed(("pkg",), 0, b"", b""))
    with pytest.raises(HostError) as failed:
        judge(Completed(("pkg",), 3, b"", b"pkg: no such thing\n"))
    found = failed.value.diagnostics[0]
    assert (found.code, found.detail) == (f"pkgbase-{code}-failed", "pkg ended with status 3.\npkg: no such thing")


def test_names_of_a_catalogue_are_no_options() -> None:
    assert pkgbase.sound("FreeBSD-set-base-jail") and pkgbase.sound("libc++.x_1")
    assert not any(map(pkgbase.sound, ("-f", "", "a b", "../x", "a\n", "x" * 200)))


def test_a_signature_is_one_that_openssl_verifies(tmp_path) -> None:
    """RSA with SHA256 over the hexadecimal SHA256, as `openssl dgst -sha256 -verify` reads it."""
    text = b"a catalogue\n"
    for name, data in (("k", KEY.pem()), ("s", base_mirror.sign(KEY, text))):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "m").write_bytes(hashlib.sha256(text).hexdigest().encode())
    command = ["openssl", "dgst", "-sha256", "-verify", "k", "-signature", "s", "m"]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout == b"Verified OK\n"


def test_checksums_are_those_of_pkg() -> None:
    """512 bits in 103 letters, the lowest first: the first five bits of BLAKE2b(b"") are 11000 (0x78)."""
    assert base_mirror.checksum(b"").startswith("2$a") and len(base_mirror.checksum(b"x")) == 2 + 103


@pytest.mark.parametrize("meta", [b"version = 1;\n", b"packing_format = \"txz\";\n", b""])
def test_a_repository_of_another_format_is_refused(meta) -> None:
    with pytest.raises(Refusal, match="wrong version"):
        base_client.catalogue({"meta.conf": meta}.get, "FreeBSD-base", None)
