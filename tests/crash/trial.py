"""One trial: a host made ready, a converge that is killed, and the run after it. Each run is a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.cli.lock import locked
from reconciler.faults import FailRunner
from reconciler.guard import Consent
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.sandbox import mirror as sandbox_mirror
from reconciler.hosts.sandbox import processes
from reconciler.hosts.sandbox.update_mirror import publish
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.diagnostic import ReconcilerError, Refused
from reconciler.readonly import is_read_only
from reconciler.today import today
from reconciler.wrapper import Wrapper
from tests.crash import invariants
from tests.crash.fleets import Scenario, write
from tests.fleet import KEY, Fleet, problems

POOL = "zroot/reconciler"
# A copied host's files look written to; which ones were is not what is tried here.
ANYTHING = Consent(prune=True, data_loss=frozenset({"db", "packed", "brief", "ill", "old", "tools"}))
PATIENCE = 20.0  # seconds that a child which outlives the killed tool may keep the lock


@dataclass(frozen=True)
class Case:
    """Kill the run of a scenario `before` or `after` the effect of changing call `n`, or `during` it (`delay` s)."""

    scenario: int
    n: int
    when: str
    what: str = ""
    delay: float = 0.0


@dataclass
class Result:
    """What became of it. `failed` says in words why the next run did not converge."""

    case: Case
    killed: bool = False
    failed: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    disturbed: list[str] = field(default_factory=list)
    unlocks: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing is to be said against it."""
        return not (self.failed or self.orphans or self.lost or self.disturbed or self.unlocks)


class Timing(Wrapper):
    """Notes each changing call in words, and its seconds."""

    def __init__(self, inner: Runner) -> None:
        """Start with none."""
        super().__init__(inner)
        self.calls: list[tuple[str, float]] = []

    def run(self, command: Command) -> Completed:
        """Run and note."""
        began = time.monotonic()
        done = self.inner.run(command)
        if not is_read_only(command.argv):
            self.calls.append((" ".join(command.argv)[:160], time.monotonic() - began))
        return done

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write and note."""
        self.inner.write(path, data, mode)
        self.calls.append((f"write {path}", 0.0))


class KillDuring(Wrapper):
    """SIGKILL this very process `delay` seconds into the n-th changing call, while its child is at work."""

    def __init__(self, inner: Runner, n: int, delay: float) -> None:
        """`n` counts from 1."""
        super().__init__(inner)
        self.left, self.delay = n, delay

    def run(self, command: Command) -> Completed:
        """Run, and maybe die meanwhile."""
        if not is_read_only(command.argv):
            self._count()
        return self.inner.run(command)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write; it counts too."""
        self._count()
        self.inner.write(path, data, mode)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run `work` in a child process; answers its wait status and what it returned, None when it was killed."""
    read, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 0
        try:
            os.write(write_end, json.dumps(work()).encode())
        except BaseException:
            traceback.print_exc()
            status = 1
        os._exit(status)
    os.close(write_end)
    with os.fdopen(read, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(data) if data else None


def converge(fleet: Fleet, runner: Runner | None = None, *, adopt: bool = False) -> list[str]:
    """One run as the command does it, under the lock; answers what went wrong. Raises Refused when it is held."""
    runner = runner or fleet.runner
    with locked(FreeBSDHost(runner, f"sandbox:{fleet.folder}"), POOL, "apply"):
        return problems(fleet.apply(runner, consent=ANYTHING, adopt_source=adopt))


def prepare(scenario: Scenario, folder: Path, mirror: str) -> Path | None:
    """The host that a scenario begins on, as a folder without any running process; None for an empty one."""
    if not scenario.before:
        return None

    def work() -> list[str]:
        fleet = Fleet(folder, mirror)
        if scenario.patched:
            publish(fleet.server, sandbox_mirror.patches("15.1-RELEASE", today()), KEY)
        failed = []
        for texts in filter(None, (scenario.earlier, scenario.before)):
            write(fleet.specs, texts, scenario.folders)
            failed += converge(fleet)
        invariants.put_canaries(fleet, scenario.volumes)
        end(fleet)
        return failed

    status, failed = forked(work)
    if status or failed:
        raise SystemExit(f"{scenario.name}: the fleet before the change does not converge: {failed}")
    return folder / "host"


def end(fleet: Fleet) -> None:
    """A power cycle: no process of the sandbox is left."""
    processes.kill_everything(fleet.machine)
    fleet.machine.reboot()


class Bench:
    """Where trials run: scratch space, the mirror, and each scenario's prepared host."""

    def __init__(self, scratch: Path, mirror: str, scenarios: tuple[Scenario, ...]) -> None:
        """Prepare every scenario."""
        self.scratch, self.mirror, self.scenarios = scratch, mirror, scenarios
        self.prepared = [prepare(s, scratch / f"before-{n}", mirror) for n, s in enumerate(scenarios)]

    def calls(self, number: int) -> list[tuple[str, float]]:
        """The changing calls of a scenario's converge that nobody kills, with the seconds of each."""

        def work(fleet: Fleet) -> Any:
            runner = Timing(fleet.runner)
            failed = converge(fleet, runner, adopt=True)
            return [failed, runner.calls]

        failed, calls = self._on_a_host(number, lambda fleet, _jids: forked(lambda: work(fleet))[1])
        if bool(failed) != bool(self.scenarios[number].held):
            raise SystemExit(f"{self.scenarios[number].name}: does not converge even when nothing is killed: {failed}")
        return [(what, seconds) for what, seconds in calls]

    def trial(self, case: Case) -> Result:
        """Kill, run again, and look."""
        result: Result = self._on_a_host(case.scenario, lambda fleet, jids: self._kill_and_look(case, fleet, jids))
        return result

    def _on_a_host(self, number: int, work: Callable[[Fleet, dict[str, int]], Any]) -> Any:
        scenario = self.scenarios[number]
        folder = Path(tempfile.mkdtemp(prefix=f"trial-{number}-", dir=self.scratch))
        prepared = self.prepared[number]
        if prepared is not None:
            subprocess.run(("cp", "-a", prepared, folder / "host"), check=True)
        fleet = Fleet(folder, self.mirror)
        jids: dict[str, int] = {}
        try:
            if scenario.before:
                write(fleet.specs, scenario.before, scenario.folders)
                status, answer = forked(
                    lambda: [converge(fleet, adopt=True), invariants.jids(fleet, scenario.bystanders)]
                )
                if status or answer[0]:
                    raise SystemExit(f"{scenario.name}: the host does not come back after a power cycle: {answer}")
                jids = answer[1]
            write(fleet.specs, scenario.after, scenario.folders)
            return work(fleet, jids)
        finally:
            end(fleet)
            fleet.machine.state.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _kill_and_look(self, case: Case, fleet: Fleet, jids: dict[str, int]) -> Result:
        result = Result(case)

        def killed() -> list[str]:
            runner: Runner = fleet.runner
            if case.when == "during":
                runner = KillDuring(runner, case.n, case.delay)
            else:
                assert case.when in ("before", "after")
                when = "before" if case.when == "before" else "after"
                runner = FailRunner(runner, case.n, when, how="kill", changing=True)
            return converge(fleet, runner, adopt=True)

        status, _ = forked(killed)
        result.killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        status, answer = forked(lambda: self._next_run(case, fleet))
        if status or answer is None:
            result.failed.append(f"the next run ended with wait status {status}")
            return result
        result.unlocks, result.failed, result.orphans, result.lost, after = answer
        result.disturbed = [f"{n}: jid {was} became {after.get(n)}" for n, was in jids.items() if after.get(n) != was]
        return result

    def _next_run(self, case: Case, fleet: Fleet) -> list[Any]:
        """(unlocks, failures, orphans, lost volumes, jids) of the run after the kill."""
        scenario = self.scenarios[case.scenario]
        limit = time.monotonic() + PATIENCE
        while True:
            try:
                failed = converge(fleet, adopt=True)
                break
            except Refused as error:
                if error.diagnostics[0].code != "locked" or time.monotonic() > limit:
                    return [1, [str(error)], [], [], {}]
                time.sleep(0.05)
            except (ReconcilerError, AssertionError) as error:
                return [0, [str(error)], [], [], {}]
        if scenario.held:
            failed = _not_held(fleet, scenario.held)
        failed += [f"left to do: {title}" for title in fleet.titles()]
        left = invariants.orphans(fleet)
        gone = invariants.lost(fleet, scenario.volumes)
        return [0, failed, left, gone, invariants.jids(fleet, scenario.bystanders)]


def _not_held(fleet: Fleet, jail: str) -> list[str]:
    """What is wrong with a jail whose new root failed its check: the last good one has to run, held by the plan."""
    session = fleet.session()
    notes = {note.code for note in session.decide().plan.notes}
    place = f"/reconciler/live/{jail}"
    live = [row.source for row in session.observed.mounts if row.target == place]
    running = [row.name for row in session.observed.jails if row.path == place]
    good = session.seen.rows[f"jails/{jail}"].user.get("good")
    right = live == [f"{POOL}/jails/{jail}/{good}"] and running == [jail] and "root-held" in notes
    return [] if right else [f"{jail}: live {live}, good {good}, running {running}, notes {sorted(notes)}"]
