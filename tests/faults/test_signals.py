"""A signal ends a run between two steps, and the next one goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

from reconciler.cache import Cache
from reconciler.cli.stopping import stopping
from reconciler.model.action import Step
from reconciler.model.outcome import Result
from reconciler.site import LocalSite
from tests.crash.invariants import orphans
from tests.fleet import Fleet, problems

SPEC = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\n"


def test_sigterm_lets_what_has_begun_end_and_begins_nothing_new(fleet: Fleet) -> None:
    fleet.write(SPEC)
    session = fleet.session()
    decided = session.decide()
    begun: list[int] = []

    def watch(event: str, step: Step, _result: Result | None) -> None:
        if event == "begin":
            begun.append(step.number)
            if len(begun) == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    site = LocalSite(
        session.host, session.place, Cache(fleet.folder / "cache"), session.facts, "2026-11-22", mirror=fleet.mirror
    )
    with stopping(list) as stop:
        report = session.apply(decided, site, 1, watch, stop.event)
    assert (stop.signal, stop.status) == (signal.SIGTERM, 143)
    outcomes = [report.results[number].outcome for number in sorted(report.results)]
    assert outcomes.count("applied") == 5
    assert set(outcomes) == {"applied", "stopped"}
    assert isinstance(stop.event, threading.Event)
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []


def test_a_lost_terminal_does_not_stop_a_run_halfway() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with stopping(list) as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        inherited = subprocess.run(["/bin/sh", "-c", "kill -HUP $$; echo deaf"], capture_output=True, check=False)
    assert (stop.signal, stop.event.is_set()) == (0, False)
    assert (inherited.returncode, inherited.stdout) == (-signal.SIGHUP, b""), "what a run starts must hear a SIGHUP"
    assert signal.getsignal(signal.SIGHUP) == before
