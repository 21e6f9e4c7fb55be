"""A run that dies at one of its host calls, and the next one: readings, marks, and jails with a package."""

from __future__ import annotations

import contextlib

from reconciler.build import recorded
from reconciler.build.reading import difference
from reconciler.model.command import Runner
from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner
from tests.packages.lab import Lab

SPEC = """kind: Package
name: site
version: "1"
release: 15.1-RELEASE
makejail: {text: "CMD mkdir -p /usr/local/etc; echo hello > /usr/local/etc/site.conf"}
---
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
packages: [{name: site}]
"""


def record(lab: Lab, runner: Runner | None = None) -> object:
    """End the recording of zroot/jail, read what changed, and let its end go."""
    site = lab.over(runner) if runner is not None else lab.site
    first, last = f"zroot/jail@{recorded.STARTED}", f"zroot/jail@{recorded.STOPPED}"
    recorded.mark(site, last, "now")
    found = difference(site, [(first, last)]).change
    recorded.drop(site, (last,))
    return found


def reading_survives(lab: Lab, n: int, *, after: bool) -> bool:
    """Die at call `n`, then do it again: the same is found, and nothing is left. False when it was never reached."""
    before = lab.left()
    expected = record(lab)
    assert expected
    assert lab.left() == before
    dead = DyingRunner(lab.plain, n, after=after)
    with contextlib.suppress(Died):
        record(lab, dead)
    again = record(lab)
    assert again == expected, (again, expected)
    assert lab.left() == before
    return dead.dead


def jail_survives(fleet: Fleet, n: int, *, after: bool) -> bool:
    """Die at changing call `n` of the first apply; the next one ends as if nothing had been."""
    fleet.write(SPEC)
    dead = DyingRunner(fleet.runner, n, after=after)
    with contextlib.suppress(Died):
        fleet.apply(dead)
    report = fleet.apply()
    assert report.ok, problems(report)
    assert fleet.decide().plan.empty
    rows = [row.name for row in fleet.session().observed.datasets]
    assert not [name for name in rows if "/layers/reading-" in name]
    return dead.dead
