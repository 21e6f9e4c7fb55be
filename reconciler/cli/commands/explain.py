"""`reconcile explain`: what a diagnostic means, or why a jail would be changed. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.model.action import Step
    from reconciler.reconcile import Session


def explain(
    what: Annotated[str, typer.Argument(help="A code such as plan-stale, or a jail. Nothing: all codes.")] = "",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Explain a diagnostic's code; or, for a jail, every planned action: the spec's line, the host's fact, the rule.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import pages, session
    from reconciler.cli.show import visible
    from reconciler.model.diagnostic import Diagnostic, SpecError

    if not what:
        print("\n".join(pages.codes()))
        return 0
    text = pages.page(what)
    if text is not None:
        print(text, end="")
        return 0
    run = session.pool_session(session.reading(host), specs, given.labels(label))
    if what not in run.selected.jails and f"jails/{what}" not in run.seen.rows:
        close = [f"reconcile explain {name}" for name in pages.similar(what, list(run.selected.jails))]
        hint = "\n".join(close) or "reconcile explain"
        detail = f"{visible(what)} is no diagnostic code, and no jail of these specs or of {run.document.pool}."
        raise SpecError(Diagnostic("nothing-to-explain", "There is no such code or jail", detail, hint))
    _jail(run, what)
    return 0


def _jail(run: Session, name: str) -> None:
    from reconciler.cli.paper import paper
    from reconciler.cli.show import visible

    decided = run.decide()
    on = paper()
    steps = {step.number: step for step in decided.plan.steps}
    mine = [step for step in decided.plan.steps if step.scope == name]
    notes = [note for note in decided.plan.notes if note.scope == name]
    for note in notes:
        print(f"{visible(note.text)}  [{note.code}]\n")
    for step in mine:
        _step(step, steps)
    if not mine and not notes:
        print(f"{on.ink(name, 'bold')} is as its spec says: there is nothing to do.")


def _step(step: Step, steps: dict[int, Step]) -> None:
    from reconciler.cli.paper import paper
    from reconciler.cli.show import visible

    on, action = paper(), step.action
    print(on.ink(f"{step.number}. {action.title()}", "bold"))
    print(f"   why    {visible(step.reason)}")
    print(f"   spec   {visible(str(step.span)) if step.span else 'no line asks for it: it follows from the rest'}")
    print(f"   host   {visible(_fact(step))}")
    waits = [f"{steps[number].action.title()} ({number})" for number in sorted(step.waits)]
    print(f"   after  {visible('; '.join(waits)) if waits else 'nothing: it can begin at once'}")
    print(f"   rule   {_RULES[action.phase.name]}{' The jail is interrupted.' if action.interrupts else ''}\n")


def _fact(step: Step) -> str:
    before = step.action.before
    if before is None:
        return f"{step.action.ref} is not there"
    facts = ", ".join(f"{name} {value}" for name, value in before.facts().items())
    return f"{step.action.ref} is there{f': {facts}' if facts else ''}"


_RULES = {
    "PREPARE": "Prepared beside what runs, before anything of the jail stops.",
    "TEARDOWN": "Within a jail, everything is taken down before anything is built up.",
    "BUILD": "Built up once all of the jail's preparation and taking down is done.",
    "JUDGE": "Judged when everything else of the jail is done; a failure points back to the last good root.",
    "CLEAR": "Cleared away last, so that a failure before it loses nothing.",
}

COMMAND = explain
