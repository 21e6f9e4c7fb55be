"""Why a jail is not as its spec says: every reason, the nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.cli import agent_orders
from reconciler.cli.agent_words import lines
from reconciler.reconcile import Decided, Session


def reasons(run: Session, name: str, status: Mapping[str, Any] | None) -> Iterator[str]:
    """What the pool, the specs and the agent say. `status` is a running agent's own word, None where none runs."""
    decided = run.decide()
    yield from _jail(run, decided, name)
    yield from _dependencies(decided, name)
    steps = sum(step.scope == name for step in decided.plan.steps)
    if steps:
        yield f"{name} differs from its spec: {steps} step{'' if steps == 1 else 's'} to do (reconcile explain {name})"
    for refusal in decided.refusals:
        yield f"the whole plan is refused: {refusal.code}: {refusal.detail} {refusal.hint}".rstrip()
    if why := agent_orders.suspended(run.host, run.document.pool):
        yield f"the agent is suspended: {why}. reconcile resume --all"
    if status is not None:
        yield from _agent(status, name)
    elif steps:
        yield "no agent runs here that would do it: reconcile apply"


def plain(reason: str, status: Mapping[str, Any] | None) -> str:
    """A reason with paths as they are in the repository, not in the agent's copy of it."""
    if status is not None and status.get("state"):
        for slot in ("a", "b"):
            reason = reason.replace(f"{status['state']}/trees/{slot}/", "")
    return reason


def _jail(run: Session, decided: Decided, name: str) -> Iterator[str]:
    """What stands on the jail itself."""
    for note in decided.plan.notes:
        if note.scope == name:
            yield f"{note.text}  [{note.code}]"
    allocation = decided.desired.allocated.get(name)
    told = any(note.scope == name and note.code in ("stopped-by-operator", "root-held") for note in decided.plan.notes)
    if allocation is not None and allocation.stopped_by_operator and not told:
        yield f"stopped by the operator, and left so: service reconciler_jails start {name}"
    sourced = run.selected.jails.get(name)
    if sourced is None:
        yield f"no spec names {name} for this host"
    elif sourced.doc.state == "stopped":
        yield f"its spec says that it is stopped ({sourced.place(('state',))})"


def _dependencies(decided: Decided, name: str) -> Iterator[str]:
    """What it waits for in other jails."""
    sourced = decided.desired.specs.jails.get(name)
    for other in sourced.doc.depends_on if sourced is not None else ():
        held = [note.text for note in decided.plan.notes if note.scope == other]
        count = sum(step.scope == other for step in decided.plan.steps)
        if held:
            yield f"it depends on {other}: {held[0]}"
        elif count:
            yield f"it depends on {other}, which has {count} step{'' if count == 1 else 's'} to do first"


def _agent(status: Mapping[str, Any], name: str) -> Iterator[str]:
    """What the agent says of the jail, and of itself where it does not just wait."""
    for jail in status.get("jails", ()):
        if jail["name"] == name and jail["failures"]:
            yield f"agent: {jail['condition']}: {jail['reason']}"
    failed = any(problem["severity"] == "error" for problem in status.get("problems", ()))
    if failed or status.get("approval") or status.get("refused") or status["phase"] in ("applying", "stalled"):
        yield from (line.removeprefix("! ") for line in lines(status))
