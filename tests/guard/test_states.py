"""Running, stopped, suspended, stopped by an operator: who says so, and who keeps to it."""

from __future__ import annotations

import pytest

from reconciler.cli.garbage import garbage
from reconciler.cli.paper import Paper
from reconciler.cli.render_plan import render, unchanged
from reconciler.model.command import Command
from tests.fleet import Fleet, problems

POOL = "zroot/reconciler"
RUNNING = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\n"
STOPPED = RUNNING + "state: stopped\n"


def running(fleet: Fleet) -> list[str]:
    """The jails that run."""
    return [row.name for row in fleet.session().observed.jails]


def run(fleet: Fleet, line: str) -> None:
    """As an operator does."""
    done = fleet.runner.run(Command(tuple(line.split())))
    assert done.status == 0, done.stderr


def test_a_jail_is_stopped_and_started_as_its_spec_says(fleet: Fleet) -> None:
    for spec, expected in ((STOPPED, []), (RUNNING, ["web"]), (STOPPED, []), (RUNNING, ["web"])):
        fleet.write(spec)
        assert problems(fleet.apply()) == []
        assert running(fleet) == expected
        assert fleet.titles() == []


def test_nothing_that_runs_is_wanted_of_a_stopped_jail(fleet: Fleet) -> None:
    fleet.write(
        STOPPED + "limits: {maxproc: 10}\nmounts: [{device: tmpfs, mountpoint: /t, type: tmpfs, options: rw}]\n"
        "network: {addresses: [{interface: vtnet0, address: 10.0.2.90/32}]}\n"
    )
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert fleet.session().observed.limits == frozenset()


def test_a_jail_that_does_not_start_at_boot_still_runs_now(fleet: Fleet) -> None:
    fleet.write(RUNNING + "boot: false\n")
    assert problems(fleet.apply()) == []
    assert running(fleet) == ["web"]
    assert fleet.runner.read("/reconciler/jails/web/boot") == b"no\n"
    fleet.write(RUNNING)
    assert problems(fleet.apply()) == []
    assert fleet.runner.read("/reconciler/jails/web/boot") == b"yes\n"


def test_a_suspended_jail_is_left_alone_until_it_is_resumed(fleet: Fleet) -> None:
    fleet.write(RUNNING)
    assert problems(fleet.apply()) == []
    run(fleet, f"zfs set reconciler:suspended=looking {POOL}/jails/web")
    run(fleet, "jail -m name=web host.hostname=other")
    fleet.write(RUNNING + "limits: {maxproc: 10}\n")
    decided = fleet.decide()
    assert decided.plan.empty
    assert [(note.code, note.failing) for note in decided.plan.notes] == [("suspended", False)]
    assert problems(fleet.apply()) == []
    assert fleet.session().observed.limits == frozenset()
    run(fleet, f"zfs inherit reconciler:suspended {POOL}/jails/web")
    assert problems(fleet.apply()) == []
    assert fleet.session().observed.limits == frozenset({"jail:web:maxproc:deny=10"})
    assert fleet.titles() == []


def test_what_a_build_left_of_a_suspended_jail_is_no_garbage_until_it_is_resumed(fleet: Fleet) -> None:
    fleet.write(STOPPED)
    assert problems(fleet.apply()) == []
    rows, jail = fleet.session().seen.rows, f"{POOL}/jails/web"
    run(fleet, f"zfs create -o mountpoint=legacy -o canmount=noauto {jail}/9")
    guid = fleet.runner.run(Command(("zfs", "get", "-Hp", "-o", "value", "guid", f"{jail}/9"))).stdout.decode().strip()
    owner = rows["jails/web/1"].user["owner"].replace(str(rows["jails/web/1"].guid), guid)
    run(fleet, f"zfs set reconciler:owner={owner} {jail}/9")
    assert [item.name for item in garbage(fleet.session())] == [f"{jail}/9"]
    run(fleet, f"zfs set reconciler:suspended=looking {jail}")
    assert garbage(fleet.session()) == []


def test_a_jail_that_an_operator_stopped_stays_so_until_he_starts_it(fleet: Fleet) -> None:
    fleet.write(RUNNING)
    assert problems(fleet.apply()) == []
    run(fleet, "jail -f /reconciler/jails/web/jail.conf -r web")
    fleet.runner.write("/reconciler/jails/web/stopped-by-operator", b"")
    assert fleet.titles() == []
    assert unchanged(fleet.decide()) == 0
    assert "No changes. 1 jail left stopped" in render(fleet.decide(), Paper())
    fleet.write(RUNNING + "limits: {maxproc: 10}\n")
    assert "web: start jail" not in fleet.titles()
    assert problems(fleet.apply()) == []
    assert running(fleet) == []
    run(fleet, "rm /reconciler/jails/web/stopped-by-operator")
    assert "web: start jail" in fleet.titles()
    assert problems(fleet.apply()) == []
    assert running(fleet) == ["web"]
    assert fleet.titles() == []


def stopped_by_hand(fleet: Fleet) -> None:
    """What `service reconciler_jails stop web` leaves."""
    run(fleet, "jail -f /reconciler/jails/web/jail.conf -r web")
    fleet.runner.write("/reconciler/jails/web/stopped-by-operator", b"")


def test_a_stop_by_an_operator_is_told_of_where_the_spec_asks_for_that(fleet: Fleet) -> None:
    fleet.write(RUNNING + "drift: {stopped_by_operator: warn}\n")
    assert problems(fleet.apply()) == []
    assert fleet.decide().plan.notes == ()
    stopped_by_hand(fleet)
    decided = fleet.decide()
    assert decided.plan.empty
    assert [(note.scope, note.code, note.failing) for note in decided.plan.notes] == [
        ("web", "stopped-by-operator", False)
    ]
    fleet.write(STOPPED + "drift: {stopped_by_operator: warn}\n")
    assert fleet.decide().plan.notes == ()


def test_a_stop_by_an_operator_is_put_right_where_the_spec_asks_for_that(fleet: Fleet) -> None:
    fleet.write(RUNNING + "drift: {stopped_by_operator: correct}\n")
    assert problems(fleet.apply()) == []
    stopped_by_hand(fleet)
    assert fleet.titles() == ["web: start jail"]
    assert problems(fleet.apply()) == []
    assert running(fleet) == ["web"]
    assert fleet.runner.read("/reconciler/jails/web/stopped-by-operator") is None
    fleet.write(RUNNING)
    assert "web: stop jail" not in fleet.titles()


@pytest.mark.parametrize(("mode", "notes"), [("warn", ["drift-left"]), ("ignore", [])])
def test_a_stop_that_counts_as_drift_falls_under_the_state(fleet: Fleet, mode: str, notes: list[str]) -> None:
    fleet.write(RUNNING + f"drift: {{stopped_by_operator: correct, state: {mode}}}\n")
    assert problems(fleet.apply()) == []
    stopped_by_hand(fleet)
    decided = fleet.decide()
    assert (decided.plan.empty, [note.code for note in decided.plan.notes]) == (True, notes)


def test_a_jail_that_another_needs_starts_first_and_stops_last(fleet: Fleet) -> None:
    db = RUNNING.replace("web", "db")
    fleet.write(f"{db}---\n{RUNNING}depends_on: [db]\n")
    starts = [title for title in fleet.titles() if title.endswith("start jail")]
    assert starts == ["db: start jail", "web: start jail"]
    assert problems(fleet.apply()) == []
    fleet.write(f"{db}state: stopped\n---\n{STOPPED}depends_on: [db]\n")
    stops = [title for title in fleet.titles() if title.endswith("stop jail")]
    assert stops == ["web: stop jail", "db: stop jail"]
    assert problems(fleet.apply()) == []
    assert running(fleet) == []
