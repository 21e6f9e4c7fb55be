"""Carry out a plan: check, apply, look again. In parallel across scopes; a failure blocks only its dependants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from traceback import extract_tb

from reconciler.diff import Difference, changed_fields
from reconciler.kind import Kind, Place, Seen
from reconciler.model.action import Phase, Plan, Site, Step
from reconciler.model.diagnostic import Diagnostic, ReconcilerError
from reconciler.model.outcome import Report, Result
from reconciler.model.value import Ref, Resource

Watch = Callable[[str, Step, Result | None], None]


@dataclass
class Executor:
    """One run. `watch` is told ("begin" | "end", step, result); `recover` puts a jail back after a failure."""

    kinds: Mapping[str, Kind]
    site: Site
    place: Place
    jobs: int = 4
    watch: Watch = lambda _event, _step, _result: None
    recover: Callable[[Site, Step], tuple[Diagnostic, ...]] = lambda _site, _step: ()
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, plan: Plan) -> Report:
        """Every step to its end, or blocked, or stopped by `stop`."""
        results: dict[int, Result] = {}
        running: dict[Future[Result], Step] = {}
        pending = {step.number: step for step in plan.steps}
        with ThreadPoolExecutor(max_workers=max(1, self.jobs)) as pool:
            while pending or running:
                for step in self._ready(pending, results, running):
                    del pending[step.number]
                    if self.stop.is_set():
                        results[step.number] = Result(step, "stopped")
                    elif bad := self._blockers(step, results):
                        results[step.number] = self._blocked(step, bad)
                    else:
                        running[pool.submit(self._one, plan, step)] = step
                    if step.number in results:
                        self.watch("end", step, results[step.number])
                if running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        step = running.pop(future)
                        results[step.number] = future.result()
                        self.watch("end", step, results[step.number])
        return Report(plan, results)

    def _ready(
        self, pending: Mapping[int, Step], results: Mapping[int, Result], running: Mapping[Future[Result], Step]
    ) -> list[Step]:
        room = max(1, self.jobs) - len(running)
        ready = [s for s in pending.values() if s.waits <= results.keys()]
        return ready[: max(0, room)]

    @staticmethod
    def _blockers(step: Step, results: Mapping[int, Result]) -> list[Result]:
        return [results[n] for n in sorted(step.waits) if results[n].outcome not in ("applied", "already-done")]

    @staticmethod
    def _blocked(step: Step, bad: list[Result]) -> Result:
        became = {"failed": "failed", "blocked": "is blocked"}.get(bad[0].outcome, "was not done")
        detail = f"it waits for: {bad[0].step.action.title()}, which {became}."
        return Result(
            step, "blocked", diagnostics=(Diagnostic("step-blocked", "Another step has to go first", detail),)
        )

    def _one(self, plan: Plan, step: Step) -> Result:
        self.watch("begin", step, None)
        began = time.monotonic()
        try:
            outcome, problems = self._transition(plan, step)
        except ReconcilerError as error:
            outcome, problems = "failed", error.diagnostics
        except OSError as error:
            detail = f"{step.action.ref}: {error}"
            outcome, problems = "failed", (Diagnostic("step-failed", "The machine refused an operation", detail),)
        except Exception as error:  # a mistake of ours: it ends this step, not the steps of other jails
            outcome, problems = "failed", (_mistake(step, error),)
        if outcome in ("failed", "moved") and step.action.phase in (Phase.BUILD, Phase.JUDGE):
            problems += self._recover(step)
        return Result(step, outcome, time.monotonic() - began, problems)  # type: ignore[arg-type]

    def _recover(self, step: Step) -> tuple[Diagnostic, ...]:
        try:
            return self.recover(self.site, step)
        except ReconcilerError as error:
            return error.diagnostics

    def _transition(self, plan: Plan, step: Step) -> tuple[str, tuple[Diagnostic, ...]]:
        action = step.action
        now = self.look(action.subject)
        if action.done(now):
            return "already-done", ()
        if not action.due(now):
            return "moved", (self._moved(step, now),)
        action.apply(self.site)
        after = self.look(action.subject)
        if not action.done(after):
            return "failed", (self._unverified(step, after),)
        if action.before is None and action.after is not None:
            self._verify_provided(plan, action.after)
        return "applied", ()

    def look(self, subject: Resource) -> Resource | None:
        """The resource as the host shows it now, aligned to `subject`: as it will be, or as it was."""
        kind = self.kinds[subject.kind]
        roots, below = kind.narrow(subject, self.place)
        observed = self.site.observe(*kind.facets, roots=roots, below=below)
        for resource in kind.have(Seen.of(self.place, observed)):
            if resource.name == subject.name:
                return kind.align(resource, subject)
        return None

    def _verify_provided(self, plan: Plan, provider: Resource) -> None:
        """What a start should have made must be there: raises ReconcilerError (code `not-as-planned`)."""
        by_kind: dict[str, dict[Ref, Resource]] = {}
        for ref, resource in plan.wanted.items():
            if resource.provider() == provider.ref:
                by_kind.setdefault(ref.kind, {})[ref] = resource
        for name, wanted in by_kind.items():
            kind = self.kinds[name]
            _roots, below = kind.narrow(next(iter(wanted.values())), self.place)
            seen = Seen.of(self.place, self.site.observe(*kind.facets, below=below))
            found = {r.ref: r for r in kind.have(seen)}
            for ref, resource in wanted.items():
                now = found.get(ref)
                if now is None or kind.align(now, resource) != resource:
                    raise ReconcilerError(_not_as_planned(Difference(ref, now, resource)))

    def _moved(self, step: Step, now: Resource | None) -> Diagnostic:
        changed = changed_fields(Difference(step.action.ref, step.action.before, now))
        what = "; ".join(f"{k}: {was or '(none)'} → {new or '(none)'}" for k, was, new in changed)
        detail = f"{step.action.ref} is no longer as it was when the plan was made. {what}".strip()
        return Diagnostic("host-moved", "The host changed while this was going on", detail, "Plan again.")

    def _unverified(self, step: Step, now: Resource | None) -> Diagnostic:
        return _not_as_planned(Difference(step.action.ref, now, step.action.after))


def _mistake(step: Step, error: Exception) -> Diagnostic:
    frame = extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    detail = f"{step.action.ref}: {type(error).__name__}: {error} ({place})"
    hint = "The other jails went on. Report this; the next run looks again and goes on from there."
    return Diagnostic("internal-error", "This is a mistake in reconcile itself", detail, hint)


def _not_as_planned(difference: Difference) -> Diagnostic:
    changed = "; ".join(
        f"{k}: is {was or '(none)'}, should be {now or '(none)'}" for k, was, now in changed_fields(difference)
    )
    if difference.before is None:
        changed = "it is not there"
    detail = f"{difference.ref}: the command succeeded, but the host shows something else: {changed}."
    return Diagnostic(
        "not-as-planned",
        "The host does not show what was done",
        detail,
        "Run the command again; if it stays so, report it.",
    )
