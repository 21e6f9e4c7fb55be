"""The end of a run, told truthfully: what failed and why, what was not begun, and what is left to do."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

from reconciler.cli import render_plan, show
from reconciler.cli.paper import many, paper
from reconciler.model.outcome import Report, Result
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Session

_TAIL_LINES = 20
FAILED = 1
REFUSED = 3
SOME_FAILED = 4


def refused(session: Session, decided: Decided) -> bool:
    """Show the plan that is about to be carried out; say why not, where the guard refuses it."""
    show.show(session.specs.warnings)
    print(render_plan.render(decided, paper(), session.options.only, session.host.url), flush=True)
    if decided.refusals:
        show.show(decided.refusals)
        print("\nRefused: nothing was changed.", file=sys.stderr)
    return bool(decided.refusals)


def failures(report: Report, tail: Callable[[Ref], bytes]) -> None:
    """Every failure with its diagnostics and the end of its output, on stderr."""
    for result in report.failed:
        if result.outcome in ("failed", "moved"):
            print(f"\n{show.visible(_name(result) + _place(result))}", file=sys.stderr)
            show.show(result.diagnostics)
            _output(tail(result.step.action.ref), "\n".join(problem.detail for problem in result.diagnostics))


def _output(data: bytes, told: str) -> None:
    """The end of a step's output, unless what was `told` of its failure ends in it already."""
    lines = data.decode("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:]
    if lines and told.endswith(lines[-1]):
        return
    if lines:
        print("  the end of its output:", file=sys.stderr)
    for line in lines:
        print(f"  | {show.visible(line.expandtabs())}", file=sys.stderr)


def _place(result: Result) -> str:
    """The line that asks for it, where no diagnostic shows one."""
    span = result.step.span
    said = any(problem.span is not None for problem in result.diagnostics)
    return f"  ({span.file}:{span.line})" if span is not None and span.line and not said else ""


def _name(result: Result) -> str:
    return f"{result.step.scope or '(shared)'}: {result.step.action.title()}"


def counted(report: Report) -> str:
    """`12 steps done, 1 failed, 3 blocked.`"""
    number = Counter(result.outcome for result in report.results.values())
    parts = [f"{many(number['applied'] + number['already-done'], 'step')} done"]
    others = ((number["failed"] + number["moved"], "failed"), (number["blocked"], "blocked"))
    for count, word in (*others, (number["stopped"], "not begun")):
        if count:
            parts.append(f"{count} {word}")
    return ", ".join(parts) + "."


def status(report: Report, left: Decided) -> int:
    """0 done, 4 some jails are as their specs say and others are not, 1 none is."""
    bad = {result.step.scope for result in report.failed}
    bad |= {note.scope for note in left.plan.notes if note.failing} | {step.scope for step in left.plan.steps}
    if not bad:
        return 0
    return SOME_FAILED if left.desired.specs.jails.keys() - bad else FAILED
