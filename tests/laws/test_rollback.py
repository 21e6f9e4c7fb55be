"""A root that fails its check is put back, and then rests."""

from __future__ import annotations

from reconciler.cli.paper import Paper
from reconciler.cli.render_plan import render
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.wraps import Wrapper
from tests.fleet import Fleet, problems

GOOD = """
kind: Jail
name: web
release: 15.1-RELEASE
makejail: {text: "CMD echo one > /etc/version"}
healthcheck: {command: [test, -f, /etc/version], interval: 0, retries: 2}
"""
BAD = GOOD.replace("echo one > /etc/version", "rm -f /etc/version")


def live(fleet: Fleet) -> str:
    """The source of the mount at the live path."""
    rows = fleet.session().observed.mounts
    return next((m.source for m in rows if m.target == "/reconciler/live/web"), "")


def test_a_root_that_fails_its_check_is_put_back_and_rests(fleet: Fleet) -> None:
    fleet.write(GOOD)
    assert problems(fleet.apply()) == []
    assert live(fleet).endswith("/1")
    fleet.write(BAD)
    report = fleet.apply()
    assert not report.ok
    assert "rolled-back" in {d.code for r in report.failed for d in r.diagnostics}
    assert live(fleet).endswith("/1")
    held = fleet.decide()
    assert held.plan.empty
    assert [n.code for n in held.plan.notes] == ["root-held"]
    assert "the last good one runs." in held.plan.notes[0].text
    for by, said in (
        (("service", "reconciler_jails", "stop", "web"), "the last good one was stopped by the operator"),
        (("rm", "/reconciler/jails/web/stopped-by-operator"), "the last good one does not run"),
    ):
        assert fleet.runner.run(Command(by)).status == 0
        held = fleet.decide()
        assert held.plan.empty
        assert said in held.plan.notes[0].text
        assert "No changes. 1 jail cannot be brought to its spec now." in render(held, Paper())
    fleet.write(GOOD.replace("one", "two"))
    assert problems(fleet.apply()) == []
    assert live(fleet).endswith("/3")
    assert fleet.titles() == []


class NoConfiguration(Wrapper):
    """jail(8) takes no new configuration."""

    def run(self, command: Command) -> Completed:
        if command.argv[0] == "jail" and "-e" in command.argv:
            raise HostError(Diagnostic("jail-conf-invalid", "A jail configuration cannot be read"))
        return self.inner.run(command)


def test_a_jail_that_should_not_run_is_put_back_and_not_started(fleet: Fleet) -> None:
    stopped = GOOD.replace("name: web", "name: web\nstate: stopped")
    fleet.write(stopped)
    assert problems(fleet.apply()) == []
    fleet.write(stopped.replace("one", "two") + 'hostname: other\n')
    assert "rolled-back" in {d.code for r in fleet.apply(NoConfiguration(fleet.runner)).failed for d in r.diagnostics}
    assert [row.name for row in fleet.session().observed.jails] == []


def test_a_first_root_that_fails_its_check_is_left_to_be_looked_at(fleet: Fleet) -> None:
    fleet.write(BAD)
    report = fleet.apply()
    assert "health-check-failed" in {d.code for r in report.failed for d in r.diagnostics}
    assert live(fleet).endswith("/1")
    assert fleet.titles() != []
