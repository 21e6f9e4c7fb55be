"""A plan that the host has moved away from changes nothing that moved."""

from __future__ import annotations

import threading

from reconciler.cache import Cache
from reconciler.model.command import Command
from reconciler.site import LocalSite
from tests.fleet import Fleet, problems, quiet

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
volumes: [{name: www, mountpoint: /usr/local/www, quota: 1G}]
"""


def test_a_step_whose_resource_moved_since_the_plan_says_so_and_leaves_it(fleet: Fleet) -> None:
    fleet.write(SPEC)
    assert problems(fleet.apply()) == []
    fleet.write(SPEC.replace("1G", "2G"))
    session = fleet.session()
    stale = session.decide()
    fleet.runner.run(Command(("zfs", "set", "quota=5G", "zroot/reconciler/volumes/web/www")))
    site = LocalSite(
        session.host, session.place, Cache(fleet.folder / "cache"), session.facts, "2026-11-22", mirror=fleet.mirror
    )
    report = session.apply(stale, site, 1, quiet, threading.Event())
    volume = next(r for r in report.results.values() if r.step.action.ref.kind == "volume")
    assert volume.outcome == "moved"
    assert "host-moved" in {d.code for d in volume.diagnostics}
    shown = fleet.runner.run(Command(("zfs", "get", "-Hp", "-o", "value", "quota", "zroot/reconciler/volumes/web/www")))
    assert shown.stdout.strip() == str(5 << 30).encode()
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
