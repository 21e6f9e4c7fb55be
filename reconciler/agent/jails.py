"""How each jail is, and when one that fails is looked after again. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.agent.backoff import wait_after
from reconciler.agent.board import Condition, Jail
from reconciler.model.outcome import Report
from reconciler.model.ports import DatasetRow
from reconciler.reconcile import Decided, Session

SHARED = ""
"""What failures of steps that no jail owns are counted under."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Failures in a row; `due` is when (in ticks) the next try may begin, `wall` the same for people."""

    failures: int
    due: float
    wall: float
    reason: str


@dataclass
class Failures:
    """The jails that failed last time. A jail waits alone: the others go on."""

    first: float
    longest: float
    found: dict[str, Failing] = field(default_factory=dict)

    def waiting(self, ticks: float) -> dict[str, str]:
        """Jails that are left alone now, and why."""
        return {
            name: f"waits {one.due - ticks:.0f} s after {_times(one.failures)}: {one.reason}"
            for name, one in self.found.items()
            if name and one.due > ticks
        }

    def next_due(self, ticks: float) -> float | None:
        """Seconds until the next of them is tried; None where nothing fails."""
        left = [one.due - ticks for one in self.found.values()]
        return max(0.0, min(left)) if left else None

    def learn(self, report: Report, ticks: float, wall: float, chance: float) -> None:
        """Count what failed, and forget what came to its end."""
        failed = _failed(report)
        for scope in {result.step.scope for result in report.results.values()} - failed.keys():
            if all(r.outcome in ("applied", "already-done") for r in report.results.values() if r.step.scope == scope):
                self.found.pop(scope, None)
        for scope, reason in failed.items():
            count = (self.found[scope].failures if scope in self.found else 0) + 1
            wait = wait_after(count, self.first, self.longest, chance)
            self.found[scope] = Failing(count, ticks + wait, wall + wait, reason)

    def reset(self, ticks: float) -> None:
        """Try all again now, as after a new commit; how often they failed is still known."""
        self.found = {name: replace(one, due=ticks) for name, one in self.found.items()}

    def settle(self, pending: frozenset[str], ticks: float) -> None:
        """Forget those that need nothing any more, whoever put them right."""
        for name in [name for name, one in self.found.items() if one.due <= ticks and name not in pending]:
            del self.found[name]


def _failed(report: Report) -> dict[str, str]:
    """Why each jail failed. What jails share fails for those that waited for it, and for itself where none did."""
    failed: dict[str, str] = {}
    shared: dict[int, str] = {}
    for result in report.failed:
        if result.outcome in ("failed", "moved"):
            problem = result.diagnostics[0] if result.diagnostics else None
            reason = f"{problem.code}: {problem.detail}" if problem else "it failed"
            if result.step.scope:
                failed.setdefault(result.step.scope, reason)
            else:
                shared[result.step.number] = reason
    if not shared:
        return failed
    for number in sorted(report.results):  # a step never waits for a later one
        result = report.results[number]
        cause = next((shared[waited] for waited in sorted(result.step.waits) if waited in shared), None)
        if result.outcome == "blocked" and cause is not None:
            if result.step.scope:
                failed.setdefault(result.step.scope, cause)
            else:
                shared[number] = cause
    if not failed:
        failed[SHARED] = next(iter(shared.values()))
    return failed


def conditions(
    session: Session, decided: Decided, failures: Failures, stalled_after: int, before: Mapping[str, Jail], now: float
) -> tuple[Jail, ...]:
    """Every jail of the specs or the pool, by name; `since` stays where the condition does.

    What was pruned is no jail any more, though its data has its place (`reconcile undelete`).
    """
    rows, live = session.seen.rows, session.place.folder("live/")
    there = {p.partition("/")[2] for p in rows if p.startswith("jails/") and p.count("/") == 1 and "@" not in p}
    there -= {name for name in there if rows[f"jails/{name}"].user.get("pruned")}
    running = {row.name for row in session.observed.jails if row.path == live + row.name}
    steps: dict[str, int] = {}
    for step in decided.plan.steps:
        steps[step.scope] = steps.get(step.scope, 0) + 1
    held = {note.scope: note for note in reversed(decided.plan.notes) if note.code == "drift-left"}
    held |= {note.scope: note for note in reversed(decided.plan.notes) if note.failing or note.code == "suspended"}
    found = []
    for name in sorted(there | running | session.selected.jails.keys()):
        jail = _facts(session, decided, name, rows.get(f"jails/{name}"), runs=name in running)
        note = held.get(name)
        condition, reason = _condition(decided, name, note.code if note else "", note.text if note else "", steps)
        one = failures.found.get(name)
        if one is not None:
            condition = "Stalled" if one.failures >= stalled_after else "Progressing"
            jail = replace(jail, failures=one.failures, next_try=one.wall)
            reason = f"failed {_times(one.failures)}: {one.reason}"
        was = before.get(name)
        since = was.since if was is not None and was.condition == condition else now
        found.append(replace(jail, condition=condition, reason=reason, since=since))
    return tuple(found)


def _condition(decided: Decided, name: str, code: str, text: str, steps: Mapping[str, int]) -> tuple[Condition, str]:
    allocation = decided.desired.allocated.get(name)
    if code == "suspended":
        return "Suspended", text
    if code == "root-held":
        return "Held", text
    if code and code != "drift-left":
        return "Stalled", text
    if steps.get(name):
        return "Progressing", f"{steps[name]} step{'' if steps[name] == 1 else 's'} to do"
    if allocation is not None and allocation.stopped_by_operator:
        return "Held", f"stopped by the operator: service reconciler_jails start {name}"
    return ("Held", text) if code else ("Ready", "")


def _facts(session: Session, decided: Decided, name: str, row: DatasetRow | None, *, runs: bool) -> Jail:
    sourced = session.selected.jails.get(name)
    spec = sourced.doc if sourced is not None else None
    if sourced is not None:
        sourced.forget()  # there may be many
    allocation = decided.desired.allocated.get(name)
    good = row.user.get("good", "") if row is not None else ""
    root = int(good) if good.isdigit() else 0
    return Jail(
        name,
        spec.state if spec else "",
        "running" if runs else "stopped" if row is not None else "absent",
        "Ready",
        release=f"{spec.release}-p{spec.patch_level}".replace("-platest", " latest") if spec else "",
        root=allocation.live if allocation is not None else root,
        good=root,
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
