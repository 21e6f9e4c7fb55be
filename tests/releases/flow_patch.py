"""Patching against a server that lies, and with a failure at every call. Slow: see `make test-slow`."""

from __future__ import annotations

import pytest

from reconciler.faults import FailRunner
from reconciler.model.command import Command
from tests.fleet import KEY, Fleet, problems
from tests.laws.dead import Died, DyingRunner
from tests.sweep import EVERY

from .test_patch import SPEC, failures, read, releases


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def signed(data: bytes) -> bytes:
    """A tag of somebody else's: right in form, and not about this release."""
    return KEY.sign(b"freebsd-update|amd64|14.4-RELEASE|9|" + b"0" * 64 + b"|1806451200\n")


FAULTS = {"altered": changed, "truncated": cut, "empty": lambda _data: b"", "of another release": signed}
NEEDED = ("pub.ssl", "latest.ssl", "t/", "m/", "f/")


@pytest.mark.parametrize("fault", [*FAULTS, "missing"])
def test_nothing_of_a_spoiled_server_is_installed(fleet: Fleet, fault: str) -> None:
    """Every file of the server, one after the other; then a good server, and all is well."""
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(level=0))
    assert problems(fleet.apply()) == []
    fleet.write(SPEC.format(level=1))
    top = fleet.server / "15.1-RELEASE/amd64"
    (table,) = (top / "t").iterdir()
    unused = dict(line.split("|") for line in table.read_text().splitlines())["INDEX-ALL"]  # of upgrades
    files = sorted(path for path in top.rglob("*") if path.is_file() and unused not in path.name)
    spoiled = 0
    for path in files:
        name = str(path.relative_to(top))
        used = name.startswith(NEEDED)
        if not used or (fault == "of another release" and name != "latest.ssl"):
            continue
        good = path.read_bytes()
        path.unlink() if fault == "missing" else path.write_bytes(FAULTS[fault](good))
        without_patches = [p for p in files if p.parent.name == "bp"] if name.startswith("f/") else []
        kept = {p: p.read_bytes() for p in without_patches}
        for p in without_patches:
            p.unlink()
        assert "update-fetch-failed" in failures(fleet.apply()), name
        assert releases(fleet) == {"15.1-RELEASE-p0"}, name
        path.write_bytes(good)
        for p, data in kept.items():
            p.write_bytes(data)
        spoiled += 1
    assert spoiled >= (1 if fault == "of another release" else 5)
    assert problems(fleet.apply()) == []
    assert releases(fleet) == {"15.1-RELEASE-p0", "15.1-RELEASE-p1"}


@pytest.mark.parametrize("fault", [*list(FAULTS)[:3], "missing"])
def test_a_spoiled_patch_is_replaced_by_the_whole_file(fleet: Fleet, fault: str) -> None:
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(level=1))
    for path in (fleet.server / "15.1-RELEASE/amd64/bp").iterdir():
        path.unlink() if fault == "missing" else path.write_bytes(FAULTS[fault](path.read_bytes()))
    assert problems(fleet.apply()) == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies", [False, True])
def test_a_failure_at_any_call_leaves_nothing_half(fleet: Fleet, after: bool, dies: bool) -> None:
    """Each call that changes the host fails once, or is the last before the tool is killed; the next run goes on."""
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(level=0))
    assert problems(fleet.apply()) == []
    number, done = 1, False
    while not done:
        fleet.write(SPEC.format(level=1))
        done = not broken(fleet, number, after=after, dies=dies)
        for name in releases(fleet):
            text = read(fleet, f"zroot/reconciler/releases/{name}", "bin/freebsd-version") or b""
            assert name.removesuffix("-p0").encode() in text
        assert problems(fleet.apply()) == [], number
        assert fleet.decide().plan.empty
        number += EVERY
        fleet.write(SPEC.format(level=0))
        assert problems(fleet.apply()) == []
        for argv in (
            *(("zfs", "destroy", "-r", f"zroot/reconciler/jails/web/{n}") for n in old_roots(fleet)),
            ("zfs", "release", "reconciler", "zroot/reconciler/releases/15.1-RELEASE-p1@sealed"),
            ("zfs", "destroy", "-r", "zroot/reconciler/releases/15.1-RELEASE-p1"),
        ):
            fleet.runner.run(Command(argv))
    assert number > 10


def broken(fleet: Fleet, number: int, *, after: bool, dies: bool) -> bool:
    """Apply with one call that goes wrong; whether it came to that call."""
    if dies:
        dying = DyingRunner(fleet.runner, number, after=after)
        try:
            fleet.apply(dying)
        except Died:
            return True
        return dying.dead
    failing = FailRunner(fleet.runner, number, "after" if after else "before", changing=True)
    fleet.apply(failing)
    return failing.reached


def old_roots(fleet: Fleet) -> list[int]:
    """Roots that are not live."""
    roots = [r for r in fleet.decide().plan.observed.values() if r.kind == "root"]
    return sorted(int(r.name.partition("/")[2]) for r in roots)[:-1]
