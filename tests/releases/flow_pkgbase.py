"""Base packages from a repository that lies, and with a failure at every call. Slow: see `make test-slow`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reconciler.model.command import Command
from tests.fleet import Fleet, problems
from tests.sweep import EVERY

from .flow_patch import FAULTS, broken
from .test_in_place import SPEC as IN_PLACE
from .test_patch import failures, read, releases
from .test_pkgbase import packaged, spec

__all__ = ["packaged"]
SPOILED = {name: FAULTS[name] for name in ("altered", "truncated", "empty")}
TWICE = {"data.pkg": "packagesite.pkg", "packagesite.pkg": "data.pkg"}


@pytest.mark.parametrize("fault", [*SPOILED, "missing"])
def test_nothing_of_a_spoiled_repository_is_installed(packaged: Fleet, fault: str) -> None:
    """Every file that is used, one after the other, also those that were not fetched before; then a good repository.

    pkg takes either of two copies of the catalogue, so both are spoiled together.
    """
    packaged.publish_base("15.1-RELEASE", 2)
    packaged.write(spec(2))
    files = [*sorted(packaged.repository.glob("All/*p2.pkg")), packaged.repository / "data.pkg"]
    assert len(files) == 5
    for path in files:
        spoiled = [path, *(packaged.repository / TWICE[name] for name in [path.name] if name in TWICE)]
        kept = {each: each.read_bytes() for each in spoiled}
        for each, data in kept.items():
            each.unlink() if fault == "missing" else each.write_bytes(SPOILED[fault](data))
        assert failures(packaged.apply())[0] == "pkgbase-fetch-failed", path.name
        assert releases(packaged) == {"15.1-RELEASE-p1"}, path.name
        for each, data in kept.items():
            each.write_bytes(data)
    assert problems(packaged.apply()) == []
    assert releases(packaged) == {"15.1-RELEASE-p1", "15.1-RELEASE-p2"}


@pytest.mark.parametrize("fault", [*SPOILED, "missing"])
def test_one_copy_of_the_catalogue_is_enough(packaged: Fleet, fault: str) -> None:
    packaged.publish_base("15.1-RELEASE", 2)
    packaged.write(spec(2))
    path = packaged.repository / "data.pkg"
    path.unlink() if fault == "missing" else path.write_bytes(SPOILED[fault](path.read_bytes()))
    assert problems(packaged.apply()) == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("level", [1, 2])
def test_a_failure_at_any_call_leaves_nothing_half(
    tmp_path: Path, mirror_url: str, level: int, after: bool, dies: bool
) -> None:
    """Each call of making (level 1) and of upgrading (2) a release fails once, or is the last before a kill."""
    number, done = 1, False
    while not done:
        fleet = Fleet(tmp_path / str(number), mirror_url)
        fleet.publish_base("15.1-RELEASE", 1)
        if level == 2:
            fleet.write(spec(1))
            assert problems(fleet.apply()) == []
            fleet.publish_base("15.1-RELEASE", 2)
        fleet.write(spec(level))
        done = not broken(fleet, number, after=after, dies=dies)
        for name in releases(fleet):
            text = read(fleet, f"zroot/reconciler/releases/{name}", "bin/freebsd-version") or b""
            assert f'"{name}"'.encode() in text, number
        assert problems(fleet.apply()) == [], number
        assert fleet.decide().plan.empty, number
        assert fleet.runner.tree("/reconciler/build") == {}, number
        fleet.close()
        shutil.rmtree(fleet.folder)
        number += EVERY
    assert number > 10


def test_a_root_with_packages_of_its_own_and_a_base_of_sets_is_patched_by_freebsd_update(fleet: Fleet) -> None:
    fleet.write(IN_PLACE.format(level=0, check="true", state="running"))
    assert problems(fleet.apply()) == []
    row = json.dumps({"name": "nginx", "version": "1.28", "comment": "", "deps": [], "sum": "", "files": []})
    record = f"mkdir -p /var/db/pkg && echo '{row}' > /var/db/pkg/local.sqlite"
    assert fleet.runner.run(Command(("jexec", "web", "/bin/sh", "-c", record))).status == 0
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(IN_PLACE.format(level=1, check="true", state="running"))
    assert problems(fleet.apply()) == []
    live = fleet.runner.tree("/reconciler/live/web")
    assert b'"15.1-RELEASE-p1"' in live["bin/freebsd-version"] and b"nginx" in live["var/db/pkg/local.sqlite"]
