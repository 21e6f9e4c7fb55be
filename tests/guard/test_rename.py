"""`renamed_from`: a jail or a volume has another name, and its data stays where it is."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command
from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner

POOL = "zroot/reconciler"
OLD = """
kind: Jail
name: old
release: 15.1-RELEASE
volumes: [{name: data, mountpoint: /data}, {name: more, mountpoint: /more, pool: zroot/fast}]
"""
NEW = OLD.replace("name: old", "name: new\nrenamed_from: old")
VOLUME = OLD.replace("{name: data,", "{name: files, renamed_from: data, quota: 1G,")


def guids(fleet: Fleet) -> dict[str, str]:
    """Every dataset of ours by name."""
    return {row.name: row.guid for row in fleet.session().observed.datasets if row.kind != "snapshot"}


def inside(fleet: Fleet, jail: str, script: str) -> str:
    """Run sh in a jail."""
    done = fleet.runner.run(Command(("jexec", jail, "/bin/sh", "-c", script)))
    assert done.status == 0, done.stderr
    return done.stdout.decode()


@pytest.fixture
def filled(fleet: Fleet) -> Fleet:
    """A jail with data in volumes, in what it keeps, and in its root."""
    fleet.write(OLD)
    assert problems(fleet.apply()) == []
    inside(fleet, "old", "echo a > /data/a; echo b > /more/b; mkdir -p /var/cron/tabs; echo c > /var/cron/tabs/c")
    inside(fleet, "old", "echo d > /etc/d")
    return fleet


def test_a_volume_is_renamed_with_its_data_and_then_set_right(filled: Fleet) -> None:
    guid = guids(filled)[f"{POOL}/volumes/old/data"]
    filled.write(VOLUME)
    decided = filled.decide()
    assert decided.refusals == ()
    titles = filled.titles()
    assert "old: rename volume data to files" in titles
    assert titles.index("old: stop jail") < titles.index("old: rename volume data to files")
    assert problems(filled.apply()) == []
    assert guids(filled)[f"{POOL}/volumes/old/files"] == guid
    assert f"{POOL}/volumes/old/data" not in guids(filled)
    assert inside(filled, "old", "cat /data/a") == "a\n"
    assert filled.titles() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_any_crash_of_a_renamed_volume_is_recovered(filled: Fleet, after: bool) -> None:
    guid = guids(filled)[f"{POOL}/volumes/old/data"]
    filled.write(VOLUME)
    for n in range(1, 100):
        try:
            report = filled.apply(DyingRunner(filled.runner, n, after=after))
        except Died:
            continue
        assert problems(report) == []
        break
    assert guids(filled)[f"{POOL}/volumes/old/files"] == guid
    assert filled.titles() == []


def test_a_renamed_jail_has_its_roots_its_volumes_and_what_it_kept(filled: Fleet) -> None:
    before = guids(filled)
    filled.write(NEW)
    decided = filled.decide()
    assert decided.refusals == ()
    assert [note.code for note in decided.plan.notes] == ["renaming"]
    assert {"old: stop jail", "old: rename jails/old to new", "old: rename state/old to new"} <= set(filled.titles())
    for _ in range(2):
        assert problems(filled.apply()) == []
    assert filled.titles() == []
    assert guids(filled) == {name.replace("/old", "/new"): guid for name, guid in before.items()}
    assert inside(filled, "new", "cat /data/a /more/b /var/cron/tabs/c /etc/d").split() == ["a", "b", "c", "d"]
    filled.write(NEW.replace("renamed_from: old\n", ""))
    assert problems(filled.apply()) == []
    assert filled.titles() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_any_crash_of_a_renamed_jail_is_recovered(filled: Fleet, after: bool) -> None:
    before = guids(filled)
    filled.write(NEW)
    for n in range(1, 100):
        try:
            report = filled.apply(DyingRunner(filled.runner, n, after=after))
        except Died:
            continue
        assert problems(report) == []
        break
    for _ in range(2):
        assert problems(filled.apply()) == []
    assert filled.titles() == []
    volumes = {name.replace("/old", "/new"): guid for name, guid in before.items() if "/volumes/old" in name}
    assert volumes.items() <= guids(filled).items()
    assert inside(filled, "new", "cat /data/a /more/b /var/cron/tabs/c").split() == ["a", "b", "c"]
