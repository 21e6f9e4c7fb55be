"""Jails that keep their root: copied while stopped, patched, checked; and back where that fails."""

from __future__ import annotations

import pytest

from reconciler.kinds.root import Root
from reconciler.model.command import Command
from tests.fleet import Fleet, problems

from .test_patch import failures, read

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
state: {state}
patch_level: {level}
update: {{strategy: in_place}}
makejail: {{text: "CMD echo built > /built"}}
healthcheck: {{command: [/bin/sh, -c, "{check}"], retries: 1, interval: 0s}}
"""


def write(fleet: Fleet, level: int, check: str = "true", state: str = "running") -> None:
    fleet.write(SPEC.format(level=level, check=check, state=state))


def run(fleet: Fleet, *argv: str) -> None:
    done = fleet.runner.run(Command(argv))
    assert done.status == 0, done


def roots(fleet: Fleet) -> dict[int, int]:
    """The level of each generation that is there."""
    return {r.number: r.level for r in fleet.decide().plan.observed.values() if isinstance(r, Root)}


def origin(fleet: Fleet, dataset: str) -> str:
    return fleet.runner.run(Command(("zfs", "get", "-Hp", "-o", "value", "origin", dataset))).stdout.decode().strip()


@pytest.fixture
def thick(fleet: Fleet) -> Fleet:
    """A running jail at level 0 that wrote into its root."""
    write(fleet, 0)
    assert problems(fleet.apply()) == []
    run(fleet, "jexec", "web", "/bin/sh", "-c", "mkdir /data && echo kept > /data/mine && echo changed > /etc/rc.local")
    fleet.publish("15.1-RELEASE", 1)
    return fleet


def recorded_release(fleet: Fleet, number: int) -> str:
    """What `zfs get` says of the release that a generation was made from."""
    snapshot = f"zroot/reconciler/jails/web/{number}@sealed"
    argv = ("zfs", "get", "-H", "-o", "value", "reconciler:release", snapshot)
    return fleet.runner.run(Command(argv)).stdout.decode().strip()


def test_a_root_is_copied_patched_and_keeps_what_the_jail_wrote(thick: Fleet) -> None:
    assert origin(thick, "zroot/reconciler/jails/web/1") == "-"
    assert recorded_release(thick, 1) == "15.1-RELEASE"  # though it was copied from a layer, not from the release
    run(thick, "jexec", "web", "/bin/sh", "-c", "echo '# mine' >> /etc/rc")
    write(thick, 1)
    decided = thick.decide()
    assert not decided.refusals  # nothing is lost, so nothing has to be declared
    assert [step.action.title() for step in decided.plan.steps if step.scope == "web"][:3] == [
        "stop jail",
        "root 1 → 2  copied while stopped, patched from -p0 to -p1; 1 kept for rollback",
        "snapshot @before-2, point fstab at root 2 (was 1)",
    ]
    assert problems(thick.apply()) == []
    assert thick.decide().plan.empty
    # What the jail changed itself is left, and named.
    assert (thick.runner.read("/reconciler/live/web/etc/rc") or b"").endswith(b"# mine\n")
    told = thick.runner.run(Command(("zfs", "get", "-H", "reconciler:skipped", "zroot/reconciler/jails/web/2@sealed")))
    assert b"/etc/rc" in told.stdout
    assert origin(thick, "zroot/reconciler/jails/web/2") == "-"
    live = "/reconciler/live/web"
    assert thick.runner.read(f"{live}/data/mine") == b"kept\n"
    assert thick.runner.read(f"{live}/built") == b"built\n"
    assert b"15.1-RELEASE-p1" in (thick.runner.read(f"{live}/bin/freebsd-version") or b"")
    assert roots(thick) == {1: 0, 2: 1}
    assert recorded_release(thick, 2) == "15.1-RELEASE"
    assert b'"15.1-RELEASE"' in (read(thick, "zroot/reconciler/jails/web/1", "bin/freebsd-version") or b"")


def test_a_failing_check_puts_the_old_root_back_as_it_was(thick: Fleet) -> None:
    write(thick, 1, "! grep -q p1 /bin/freebsd-version")
    report = thick.apply()
    assert "health-check-failed" in failures(report) and "rolled-back" in failures(report)
    run(thick, "jexec", "web", "/bin/sh", "-c", "test -f /data/mine && ! grep -q p1 /bin/freebsd-version")
    decided = thick.decide()
    assert [note.code for note in decided.plan.notes] == ["root-held"] and not decided.plan.steps


def test_what_else_changes_is_built_anew_and_asks_for_what_would_be_lost(thick: Fleet) -> None:
    text = (thick.specs / "fleet.yaml").read_text().replace("echo built", "echo other")
    thick.write(text)
    assert {d.code for d in thick.decide().refusals} == {"undeclared-changes"}
