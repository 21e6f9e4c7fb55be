"""A release at a patch level: fetched, patched, sealed, and what a jail gets of it."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import update_client
from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.update_client import patched as bspatch
from reconciler.hosts.sandbox.update_client import unpacked
from reconciler.hosts.sandbox.update_mirror import Offer, publish
from reconciler.hosts.sandbox.update_mirror import patch as bsdiff
from reconciler.kinds.release import Release
from reconciler.model.command import Command
from reconciler.model.outcome import Report
from reconciler.model.value import Ref
from tests.fleet import KEY, Fleet, mirror, problems

SPEC = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\npatch_level: {level}\n"
PAST = 1700000000


def read(fleet: Fleet, dataset: str, path: str) -> bytes | None:
    """A file of a dataset, as somebody would look who mounts it."""
    for argv in (("mkdir", "-p", "/mnt/look"), ("mount", "-t", "zfs", "-o", "ro", dataset, "/mnt/look")):
        assert fleet.runner.run(Command(argv)).status == 0
    try:
        return fleet.runner.read(f"/mnt/look/{path}")
    finally:
        assert fleet.runner.run(Command(("umount", "/mnt/look"))).status == 0


def releases(fleet: Fleet) -> set[str]:
    """The releases that count: those that are sealed."""
    return {resource.name for resource in fleet.decide().plan.observed.values() if isinstance(resource, Release)}


def failures(report: Report) -> list[str]:
    return [diagnostic.code for result in report.failed for diagnostic in result.diagnostics]


def test_a_jail_gets_the_level_that_its_spec_says(fleet: Fleet) -> None:
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(level=1))
    titles = fleet.titles()
    assert [t for t in titles if "release" in t] == [
        ": create dataset releases",
        ": fetch release 15.1-RELEASE-p0",
        ": patch release 15.1-RELEASE-p0 to -p1",
    ]
    assert problems(fleet.apply()) == []
    assert fleet.decide().plan.empty
    for dataset in ("zroot/reconciler/releases/15.1-RELEASE-p1", "zroot/reconciler/jails/web/1"):
        assert b'"15.1-RELEASE-p1"' in (read(fleet, dataset, "bin/freebsd-version") or b"")
        assert read(fleet, dataset, "lib/libpatched.so") == b"of p1\n"
        assert read(fleet, dataset, "etc/ssh/ssh_host_rsa_key") is None
        assert read(fleet, dataset, "reconciler/build") is None
    assert b'"15.1-RELEASE"' in (read(fleet, "zroot/reconciler/releases/15.1-RELEASE-p0", "bin/freebsd-version") or b"")
    assert fleet.runner.tree("/reconciler/build") == {}


def test_a_jail_moves_to_a_new_level_beside_its_old_root(fleet: Fleet) -> None:
    fleet.write(SPEC.format(level=0))
    assert problems(fleet.apply()) == []
    fleet.publish("15.1-RELEASE", 2)
    fleet.write(SPEC.format(level=2))
    built = "web: root 1 → 2  built beside; 1 kept for rollback"
    assert fleet.titles()[:2] == [": patch release 15.1-RELEASE-p0 to -p2", built]
    assert problems(fleet.apply()) == []
    fleet.write(SPEC.format(level=0))
    assert problems(fleet.apply()) == []
    assert releases(fleet) == {"15.1-RELEASE-p0", "15.1-RELEASE-p2"}
    # What is here is used, whatever the server leads to by now.
    fleet.publish("15.1-RELEASE", 5)
    fleet.write(SPEC.format(level=2))
    assert not [t for t in fleet.titles() if "patch" in t]


def test_a_higher_level_is_reached_from_the_highest_that_is_here(fleet: Fleet) -> None:
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(level=1))
    assert problems(fleet.apply()) == []
    fleet.publish("15.1-RELEASE", 3)
    fleet.write(SPEC.format(level=3))
    assert fleet.titles()[0] == ": patch release 15.1-RELEASE-p1 to -p3"


@pytest.mark.parametrize(("served", "asked"), [(3, 7), (0, 1)])
def test_a_level_that_is_nowhere_is_an_error_that_lists_those_that_are(fleet: Fleet, served: int, asked: int) -> None:
    fleet.publish("15.1-RELEASE", served)
    fleet.write(SPEC.format(level=asked))
    report = fleet.apply()
    assert failures(report)[0] == "patch-level-unavailable"
    said = report.failed[0].diagnostics[0]
    assert f"15.1-RELEASE-p{asked} was asked for. 15.1-RELEASE is on this host" in said.detail
    assert served == 0 or f"15.1-RELEASE-p{served} is what http://update.test leads to" in said.detail
    assert said.hint == f"Write `patch_level: {served}`."
    assert releases(fleet) == {"15.1-RELEASE-p0"}
    assert Ref("root", "web/1") not in fleet.decide().plan.observed


def test_a_release_past_its_end_of_life_is_patched_all_the_same(fleet: Fleet) -> None:
    fleet.publish("15.1-RELEASE", 1, PAST)
    fleet.write(SPEC.format(level=1))
    assert problems(fleet.apply()) == []
    assert releases(fleet) == {"15.1-RELEASE-p0", "15.1-RELEASE-p1"}


def test_an_older_tag_is_refused(fleet: Fleet) -> None:
    fleet.publish("15.1-RELEASE", 2)
    fleet.write(SPEC.format(level=2))
    assert problems(fleet.apply()) == []
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(level=3))
    report = fleet.apply()
    assert failures(report)[0] == "update-fetch-failed"
    assert "appear older than what" in report.failed[0].diagnostics[0].detail
    assert releases(fleet) == {"15.1-RELEASE-p0", "15.1-RELEASE-p2"}


def test_metadata_that_leads_out_of_the_tree_is_refused(fleet: Fleet) -> None:
    """Signed, and still not believed: it would write beside the tree."""
    fleet.publish("15.1-RELEASE", 1)
    tree = {"../../../../etc/out": (0o644, "out\n")}
    publish(fleet.server, Offer("15.1-RELEASE", 1, {}, tree, PAST), KEY)
    fleet.write(SPEC.format(level=1))
    assert "update-fetch-failed" in failures(fleet.apply())
    assert fleet.runner.read("/etc/out") is None


Spoil = Callable[[bytes], bytes | None]
FAULTS: dict[str, Spoil] = {
    "altered": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "truncated": lambda data: data[: len(data) // 2],
    "grown": lambda data: data + b"\0",
    "empty": lambda _data: b"",
    "missing": lambda _data: None,
    "another's": lambda data: KEY.sign(data[:60]),
}
OLD = {"bin/one": (0o555, "one\n"), "etc/same": (0o644, "same\n")}
NEW = {"bin/one": (0o555, "one, patched\n"), "etc/same": (0o644, "same\n"), "lib/new": (0o444, "new\n")}


def took(folder: Path, spoiled: str, fault: Spoil) -> dict[str, bytes]:
    """What a client makes of a server of which one file is spoiled. Raises Refusal."""

    def get(name: str) -> bytes | None:
        path = folder / "15.1-RELEASE/amd64" / name
        data = path.read_bytes() if path.is_file() else None
        return fault(data) if data is not None and name == spoiled else data

    tag = update_client.tag(get, "15.1-RELEASE", "amd64", KEY.key_print, 0, lambda _line: None)
    _old, new = update_client.indexes(get, tag, lambda _line: None)
    was = {f"/{path}": text.encode() for path, (_mode, text) in OLD.items()}
    return {path: update_client.content(get, entry.value, was.get(path)) for path, entry in new.items()
            if path != "/etc/same"}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_file_of_a_server_is_refused_or_done_without(tmp_path: Path, fault: str) -> None:
    """Each file by itself; a patch may be spoiled, for the file is there whole as well."""
    publish(tmp_path, Offer("15.1-RELEASE", 1, OLD, NEW, PAST), KEY)
    top = tmp_path / "15.1-RELEASE/amd64"
    whole = {"/bin/one": b"one, patched\n", "/lib/new": b"new\n"}
    assert took(tmp_path, "", FAULTS[fault]) == whole
    refused = 0
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        name = str(path.relative_to(top))
        try:
            assert took(tmp_path, name, FAULTS[fault]) == whole, name
            assert name.startswith(("bp/", f"f/{sha('one, patched')}")), name
        except Refusal:
            refused += 1
    assert refused == 6


def sha(line: str) -> str:
    return hashlib.sha256(f"{line}\n".encode()).hexdigest()


@pytest.mark.parametrize(("old", "new"), [(b"", b"a"), (b"abc", b""), (b"abcdef", b"abXdefgh"), (b"x" * 9999, b"y")])
def test_patches_are_applied_as_bsdiff_makes_them(old: bytes, new: bytes) -> None:
    change = bsdiff(old, new)
    assert bspatch(old, change) == new
    for end in range(len(change)):
        assert bspatch(old, change[:end]) in (None, new)
    assert bspatch(old + b"!", b"BSDIFF41" + change[8:]) is None


def test_what_is_packed_is_whole_or_nothing() -> None:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(b"text" * 100)
    data = buffer.getvalue()
    assert unpacked(data) == b"text" * 100
    assert all(unpacked(data[:end]) is None for end in range(len(data)))


@pytest.mark.parametrize("release", ["15.1-STABLE", "15.1-STABLE-HBSD"])
def test_builds_of_a_branch_are_not_patched(fleet: Fleet, release: str, tmp_path: Path) -> None:
    where = mirror(tmp_path / "mirror", release)
    if release.endswith("HBSD"):
        (tmp_path / "mirror/15-stable/amd64/amd64/installer").mkdir(parents=True)
        (tmp_path / f"mirror/amd64/amd64/{release}").rename(tmp_path / "mirror/15-stable/amd64/amd64/installer/LATEST")
    fleet.mirror = where
    fleet.write(SPEC.format(level=0).replace("15.1-RELEASE", release))
    assert problems(fleet.apply()) == []
    assert releases(fleet) == {f"{release}-p0"}
    fleet.write(SPEC.format(level=1).replace("15.1-RELEASE", release))
    assert failures(fleet.apply())[0] == "release-not-patched"
    assert releases(fleet) == {f"{release}-p0"}


def line(path: str, value: str, kind: str = "f") -> dict[str, update_client.Entry]:
    fields = ("0", "0", "0644", "0", value, "") if kind == "f" else ("",) * 6
    return {path: update_client.Entry("world", "base", path, kind, *fields)}


@pytest.mark.parametrize(
    ("path", "old", "new", "here", "becomes"),
    [
        ("/lib/a", "1", "2", "1", "updated"),
        ("/lib/a", "1", "2", "local", "updated"),
        ("/etc/a", "1", "2", "local", "modified"),
        ("/etc/a", "1", "2", "2", "left"),
        ("/lib/a", "1", "2", None, "left"),  # deleted here: it stays so
        ("/lib/a", None, "2", None, "added"),
        ("/etc/a", None, "2", None, "added"),
        ("/etc/a", None, "2", "local", "modified"),
        ("/lib/a", "1", None, "1", "removed"),
        ("/etc/a", "1", None, "local", "modified"),
        ("/lib/a", "1", None, None, "left"),
    ],
)
def test_what_is_updated_is_decided_as_the_real_one_does(path, old, new, here, becomes) -> None:
    indexes = [line(path, value) if value else line(path, "", "-") for value in (old, new)]
    before, after, modified = update_client.decided(*indexes, line(path, here) if here else {}, ("/etc/",))
    found = {(True, True): "updated", (False, True): "added", (True, False): "removed"}.get((bool(before), bool(after)))
    assert (found or ("modified" if modified else "left")) == becomes
