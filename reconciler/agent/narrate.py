"""What the log says of a change on the board: lines for machines first, so facts stand beside words.

Pure but for the log itself. Texts of commits and jails stand in facts, never in the name of an event.
"""

from __future__ import annotations

from typing import Any

from reconciler.agent import logs
from reconciler.agent.board import Commit, Cycle, Status
from reconciler.model.diagnostic import Diagnostic

_LEVELS = {"unchanged": "debug", "applied": "info", "suspended": "debug"}


def narrate(before: Status, after: Status) -> None:
    """Log what is new."""
    if after.why != before.why and after.why:
        logs.log.debug(logs.CYCLE_BEGAN, cycle=after.cycle, why=after.why)
    if after.tip is not None and (before.tip is None or before.tip.sha != after.tip.sha):
        logs.log.info(logs.GIT_MOVED, **_commit(after.tip))
    if after.refused is not None and (before.refused is None or before.refused.commit.sha != after.refused.commit.sha):
        for problem in after.refused.diagnostics:
            logs.log.error(logs.COMMIT_REFUSED, commit=after.refused.commit.sha, **_problem(problem))
    if after.plan is not None and not after.plan.empty and _made(before) != _made(after):
        plan = after.plan
        counts = {"create": plan.create, "change": plan.change, "remove": plan.remove}
        logs.log.info(logs.PLAN_MADE, commit=plan.commit, interrupted=plan.interrupted, **counts)
    for problem in after.cautions:
        if problem not in before.cautions:
            logs.log.warning(logs.PROBLEM_FOUND, **_problem(problem))
    last = before.last.number if before.last else 0
    for cycle in sorted((c for c in after.cycles if c.number > last), key=lambda c: c.number):
        _cycle(cycle)
    _jails(before, after)


def warn(problem: Diagnostic) -> None:
    """Log what stands on no board, such as a journal that cannot be written."""
    logs.log.warning(logs.PROBLEM_FOUND, **_problem(problem))


def _made(status: Status) -> tuple[Any, ...]:
    plan = status.plan
    return (plan.commit, plan.create, plan.change, plan.remove, plan.interrupted) if plan is not None else ()


def _cycle(cycle: Cycle) -> None:
    say = getattr(logs.log, _LEVELS.get(cycle.outcome, "warning"))
    say(
        logs.CYCLE_ENDED,
        cycle=cycle.number,
        outcome=cycle.outcome,
        commit=cycle.commit,
        seconds=round(cycle.seconds, 3),
        why=cycle.why,
        **{f"steps_{outcome.replace('-', '_')}": count for outcome, count in cycle.counts.items()},
    )
    for problem in cycle.problems:
        (logs.log.error if problem.severity == "error" else logs.log.warning)(
            logs.PROBLEM_FOUND, cycle=cycle.number, commit=cycle.commit, **_problem(problem)
        )


def _jails(before: Status, after: Status) -> None:
    if after.jails is before.jails:
        return
    was = {jail.name: jail.condition for jail in before.jails}
    for jail in after.jails:
        if jail.condition != was.get(jail.name, "Ready"):
            say = logs.log.warning if jail.condition in ("Stalled", "Held") else logs.log.info
            facts = {"declared": jail.declared, "observed": jail.observed, "reason": jail.reason}
            say(logs.JAIL_CHANGED, jail=jail.name, condition=jail.condition, **facts)


def _commit(commit: Commit) -> dict[str, Any]:
    return {"commit": commit.sha, "author": commit.author, "subject": commit.subject, "source": commit.source}


def _problem(problem: Diagnostic) -> dict[str, str]:
    facts = {"code": problem.code, "summary": problem.summary, "detail": problem.detail, "hint": problem.hint}
    return {**facts, "place": str(problem.span)} if problem.span is not None else facts
