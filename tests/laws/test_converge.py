"""The laws on small fleets: what is converged rests, and an interruption anywhere is recovered by the next run."""

from __future__ import annotations

import pytest

from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner

ONE = """
kind: Jail
name: web
release: 15.1-RELEASE
volumes: [{name: www, mountpoint: /usr/local/www, mode: "0750", quota: 1G}]
"""
CHANGED = ONE.replace("15.1-RELEASE", "14.4-RELEASE").replace("1G", "2G")


def test_a_converged_fleet_rests(fleet: Fleet) -> None:
    fleet.write(ONE)
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_changed_release_replaces_the_root_and_rests(fleet: Fleet) -> None:
    fleet.write(ONE)
    fleet.apply()
    fleet.write(CHANGED)
    titles = fleet.titles()
    assert "web: root 1 → 2  built beside; 1 kept for rollback" in titles
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_quota_set_by_hand_is_drift_and_is_corrected(fleet: Fleet) -> None:
    from reconciler.model.command import Command

    fleet.write(ONE)
    fleet.apply()
    fleet.runner.run(Command(("zfs", "set", "quota=5G", "zroot/reconciler/volumes/web/www")))
    assert fleet.titles() == ["web: correct volume www"]
    fleet.apply()
    assert fleet.titles() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_any_crash_of_a_replacement_is_recovered_by_the_next_run(fleet: Fleet, after: bool) -> None:
    """Dies at call 1, then at call 2 of what was left, and so on, until a run gets through."""
    fleet.write(ONE)
    assert problems(fleet.apply()) == []
    fleet.write(CHANGED)
    for n in range(1, 400):
        dying = DyingRunner(fleet.runner, n, after=after)
        try:
            report = fleet.apply(dying)
        except Died:
            continue
        assert problems(report) == [], f"after dying at call {n - 1}"
        assert dying.calls < n
        break
    assert fleet.titles() == []
