"""A plan as text: what would be done, in which jail, why, and which line of the specs asks for it.

`+` makes something that is not there, `~` changes it, `-` takes it away; several steps on one thing
are one line. `!` says what the plan leaves alone, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.cli.paper import Ink, Paper, many
from reconciler.cli.show import visible
from reconciler.model.action import Note, Plan, Step
from reconciler.model.diagnostic import Span
from reconciler.model.value import Ref
from reconciler.reconcile import Decided

SHARED = "(shared)"
Operation = Literal["create", "change", "remove"]
_MARKS: Mapping[Operation, tuple[str, Ink]] = {
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "remove": ("-", "red"),
}
_LEFT = ("suspended", "drift-left", "stopped-by-operator")  # notes of jails that differ, or that nobody compared
_SELF_EVIDENT = "it is not there"


@dataclass(frozen=True, slots=True)
class Entry:
    """All that happens to one thing: its steps, in order."""

    ref: Ref
    steps: tuple[Step, ...]

    @property
    def operation(self) -> Operation:
        """What it comes to: a stop and a start are one change."""
        first, last = self.steps[0].action.before, self.steps[-1].action.after
        if len(self.steps) > 1 or (first is not None and last is not None) or self.steps[0].action.renames:
            return "change"
        return "create" if first is None else "remove"

    def title(self) -> str:
        """What an operator would call it."""
        if self.ref.kind == "jail" and len(self.steps) == 2:
            return "restart jail"
        return ", then ".join(step.action.title() for step in self.steps)

    def reason(self) -> str:
        """Why, where `+` does not say it already."""
        reasons = dict.fromkeys(step.reason for step in self.steps if step.reason != _SELF_EVIDENT)
        return "; ".join(reasons)


def entries(plan: Plan, homes: Mapping[Ref, str] | None = None) -> dict[str, list[Entry]]:
    """Everything that happens, by jail: what jails share first, then in the order of names.

    `homes` says under which jail to show what has no jail of its own, such as a layer that only one needs.
    """
    chains: dict[tuple[str, Ref], list[Step]] = {}
    for step in plan.steps:
        ref = step.action.ref
        chains.setdefault((step.scope or (homes or {}).get(ref, ""), ref), []).append(step)
    scopes = sorted({scope for scope, _ in chains} | {note.scope for note in plan.notes})
    return {
        scope: [Entry(ref, tuple(steps)) for (of, ref), steps in chains.items() if of == scope] for scope in scopes
    }


def homes(decided: Decided) -> dict[Ref, str]:
    """The jail of each layer that exactly one jail is built from."""
    users: dict[Ref, list[str]] = {}
    for name, allocation in decided.desired.allocated.items():
        for layer in allocation.chain.every:
            users.setdefault(layer.ref, []).append(name)
    return {ref: names[0] for ref, names in users.items() if len(names) == 1}


def interrupted(plan: Plan) -> dict[str, str]:
    """Jails that stop running for the plan: `restart` or `stop`."""
    stopped = [step.scope for step in plan.steps if step.action.interrupts]
    back = {step.scope for step in plan.steps if step.action.ref.kind == "jail" and step.action.after is not None}
    return {scope: "restart" if scope in back else "stop" for scope in dict.fromkeys(stopped)}


def counts(plan: Plan) -> dict[Operation, int]:
    """How many things are made, changed, taken away."""
    found: dict[Operation, int] = {"create": 0, "change": 0, "remove": 0}
    for group in entries(plan).values():
        for entry in group:
            found[entry.operation] += 1
    return found


def unchanged(decided: Decided, only: frozenset[str] = frozenset()) -> int:
    """How many jails are as their specs say: nothing to do for them, and nothing that keeps them from it.

    `only` are the jails that were looked at; empty means all.
    """
    notes = decided.plan.notes
    touched = {step.scope for step in decided.plan.steps}
    touched |= {note.scope for note in notes if note.failing or note.code in _LEFT} | _stopped(decided, only)
    names = decided.desired.specs.jails.keys()
    return len((names & only if only else names) - touched)


def _stopped(decided: Decided, only: frozenset[str]) -> set[str]:
    """Jails that should run, and that an operator stopped."""
    jails = decided.desired.specs.jails
    marked = (name for name, one in decided.desired.allocated.items() if one.stopped_by_operator and name in jails)
    return {name for name in marked if (not only or name in only) and jails[name].doc.state == "running"}


def render(decided: Decided, on: Paper, only: frozenset[str] = frozenset(), host: str = "") -> str:
    """The plan as text that ends in a newline; `only` are the jails that were looked at, empty for all.

    A plan with steps begins with the `host` it is for: whoever has several must not take one for another.
    """
    lines: list[str] = [on.ink(f"Host {visible(host)}", "bold"), ""] if host and decided.plan.steps else []
    notes: dict[str, list[Note]] = {}
    for note in decided.plan.notes:
        notes.setdefault(note.scope, []).append(note)
    for scope, group in entries(decided.plan, homes(decided)).items():
        lines += [*_group(scope, group, notes.get(scope, ()), decided, on), ""]
    return "\n".join([*lines, _summary(decided, on, only)]) + "\n"


def _group(scope: str, group: list[Entry], notes: Iterable[Note], decided: Decided, on: Paper) -> list[str]:
    sourced = decided.desired.specs.jails.get(scope)
    lines = [on.row(scope or SHARED, sourced.file if sourced else "", "bold")]
    for entry in group:
        mark, ink = _MARKS[entry.operation]
        lines.append(on.row(f"  {mark} {entry.title()}", _where(entry.steps[0].span), ink))
        if reason := entry.reason():
            lines.append(f"      {on.ink(reason, 'dim')}")
    lines += [
        on.row(f"  ! {note.text}", _where(note.span), "red" if note.failing else "yellow") for note in notes
    ]
    return lines


def _where(span: Span | None) -> str:
    if span is None or not span.file:
        return ""
    return f"{span.file}:{span.line}" if span.line else span.file


def _summary(decided: Decided, on: Paper, only: frozenset[str]) -> str:
    plan = decided.plan
    same = unchanged(decided, only)
    failing = {note.scope for note in plan.notes if note.failing}
    stopped = len(_stopped(decided, only) - failing)  # each jail is counted once
    kept = f" {many(stopped, 'jail')} left stopped, as an operator wants: reconcile status." if stopped else ""
    if plan.empty:
        held = f" {many(len(failing), 'jail')} cannot be brought to {_its(len(failing))} now." if failing else ""
        verb = "is as its spec says" if same == 1 else "are as their specs say"
        fit = f" {many(same, 'jail')} {verb}." if same or not (plan.notes or stopped) else ""
        return on.ink(f"No changes.{fit}{kept}{held}", "bold")
    number = counts(plan)
    said = f"Plan: {number['create']} to create, {number['change']} to change, {number['remove']} to remove."
    if stops := interrupted(plan):
        said += f" Interrupted: {', '.join(f'{name} ({how})' for name, how in stops.items())}."
    if same:
        said += f" {many(same, 'jail')} unchanged."
    said += kept
    if failing:
        said += f" Held back: {', '.join(sorted(name or SHARED for name in failing))}."
    return on.ink(said, "bold")


def _its(count: int) -> str:
    return "its spec" if count == 1 else "their specs"
