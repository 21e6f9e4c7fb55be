"""From differences to an ordered plan. Pure: everything is decided here, nothing while executing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise

from reconciler.diff import Difference, changed_fields, diff, fingerprint
from reconciler.kind import Desired, Kind
from reconciler.model.action import Action, Note, Phase, Plan, Step
from reconciler.model.diagnostic import Diagnostic, ReconcilerError
from reconciler.model.value import Ref, World


@dataclass(frozen=True, slots=True)
class Limits:
    """What this run may touch: `only` narrows to jails; `prune` allows letting go of what no spec names.

    Of jails in `waiting` only the datasets are put right: what lies in them is not seen yet.
    """

    only: frozenset[str] = frozenset()
    prune: bool = True
    skip: Mapping[str, Note] = field(default_factory=dict)
    waiting: Mapping[str, Note] = field(default_factory=dict)


def make_plan(
    kinds: Mapping[str, Kind], observed: World, wanted: World, desired: Desired, limits: Limits | None = None
) -> Plan:
    """Chains of actions for every difference, ordered by needs and phases.

    Raises ReconcilerError (code `plan-cycle`) when the needs run in a circle.
    """
    limits = limits or Limits()
    notes = [note for kind in kinds.values() for note in kind.notes(desired)]
    notes += (*limits.skip.values(), *(n for s, n in limits.waiting.items() if s not in limits.skip))
    differences = [d for d in diff(kinds, observed, wanted) if _allowed(d, limits)]
    settled = _settled(observed, wanted)
    chains: dict[Ref, list[Action]] = {}
    left: set[Ref] = set()
    for difference in differences:
        kind = kinds[difference.ref.kind]
        mode = _drift_mode(difference, kind, desired, settled)
        if mode == "correct":
            if actions := list(kind.steps(difference.before, difference.after)):
                chains[difference.ref] = actions
        elif difference.before is None or difference.after is None:
            left.add(difference.ref)
        if mode == "warn":
            notes.append(_drift_note(difference, kind, desired))
    _drop_provided(chains, left)
    if not limits.prune:
        notes += _without_prune(chains, desired)
    steps = _order(chains, observed, wanted, kinds, desired)
    basis = _basis(steps, observed, kinds, wanted)
    return Plan(steps, tuple(notes), basis, wanted, observed)


def _scope(difference: Difference) -> str:
    subject = difference.after or difference.before
    return subject.scope if subject else ""


def _allowed(difference: Difference, limits: Limits) -> bool:
    scope = _scope(difference)
    if scope in limits.skip or (scope in limits.waiting and difference.ref.kind != "dataset"):
        return False
    return not limits.only or scope == "" or scope in limits.only


def _settled(observed: World, wanted: World) -> frozenset[str]:
    """Jails whose last good inputs are those of the specs now: what differs there is drift."""
    return frozenset(r.name for r in wanted.of("verdict") if observed.get(r.ref) == r)


def _drift_mode(difference: Difference, kind: Kind, desired: Desired, settled: frozenset[str]) -> str:
    scope = _scope(difference)
    field_ = kind.drift if isinstance(kind.drift, str) else kind.drift(difference.before, difference.after)
    if not field_ or scope not in settled or scope not in desired.specs.jails:
        return "correct"
    policy = desired.specs.jails[scope].doc.drift
    return str(getattr(policy, field_) or policy.default)


def _drift_note(difference: Difference, kind: Kind, desired: Desired) -> Note:
    subject = difference.after or difference.before
    changed = "; ".join(f"{k}: {was or '(none)'} → {now or '(none)'}" for k, was, now in changed_fields(difference))
    text = f"{difference.ref} differs and stays so (drift: warn). {changed}".strip()
    return Note(_scope(difference), "drift-left", text, kind.span(subject, desired))


def _drop_provided(chains: dict[Ref, list[Action]], left: set[Ref]) -> None:
    """What a start makes, or a stop takes away, needs no action of its own; nor does what a jail that is `left`
    stopped, or running, would have."""
    moved = left | {ref for ref, actions in chains.items() if any(a.before is None or a.after is None for a in actions)}
    for ref in list(chains):
        provider = chains[ref][0].subject.provider()
        if provider in moved:
            del chains[ref]


def _without_prune(chains: dict[Ref, list[Action]], desired: Desired) -> Iterable[Note]:
    """Leave alone every jail that no spec names, and say so once."""
    left: dict[str, None] = {}
    for ref in list(chains):
        scope = chains[ref][0].subject.scope
        if scope and scope not in desired.specs.jails:
            left[scope] = None
            del chains[ref]
    for scope in left:
        yield Note(scope, "not-pruned", f"{scope} is on this host and in none of these specs; this run may not prune.")


def _order(
    chains: Mapping[Ref, list[Action]], observed: World, wanted: World, kinds: Mapping[str, Kind], desired: Desired
) -> tuple[Step, ...]:
    actions = [(ref, action) for ref, chain in chains.items() for action in chain]
    index = {id(action): number for number, (_ref, action) in enumerate(actions)}
    waits: list[set[int]] = [set() for _ in actions]
    for chain in chains.values():
        for first, second in pairwise(chain):
            waits[index[id(second)]].add(index[id(first)])
    _wait_for_needs(chains, index, waits)
    _wait_for_dependents(chains, observed, index, waits)
    _wait_for_phases(actions, waits)
    order = _sorted(actions, waits)
    number = {old: new for new, old in enumerate(order, start=1)}
    return tuple(
        Step(
            number[old],
            actions[old][1],
            frozenset(number[w] for w in waits[old]),
            actions[old][1].reason or _reason(actions[old][1]),
            kinds[actions[old][0].kind].span(actions[old][1].subject, desired),
        )
        for old in order
    )


def _reason(action: Action) -> str:
    if action.before is None:
        return "it is not there"
    if action.after is None:
        return "no spec asks for it"
    changed = changed_fields(Difference(action.ref, action.before, action.after))
    return "; ".join(f"{k}: {was or '(none)'} → {now or '(none)'}" for k, was, now in changed) or "it differs"


def _wait_for_needs(chains: Mapping[Ref, list[Action]], index: Mapping[int, int], waits: list[set[int]]) -> None:
    for chain in chains.values():
        for action in chain:
            if action.after is None:
                continue
            for need in action.after.needs():
                needed = chains.get(need)
                if needed and needed[-1].after is not None:
                    waits[index[id(action)]].add(index[id(needed[-1])])


def _wait_for_dependents(
    chains: Mapping[Ref, list[Action]], observed: World, index: Mapping[int, int], waits: list[set[int]]
) -> None:
    """A removal waits for the removal of whatever needed the thing, so that dependents go first."""
    removals = {ref: chain[0] for ref, chain in chains.items() if chain[0].after is None}
    for ref in removals:
        resource = observed.get(ref)
        for need in resource.needs() if resource else ():
            if need in removals:
                waits[index[id(removals[need])]].add(index[id(removals[ref])])


def _wait_for_phases(actions: list[tuple[Ref, Action]], waits: list[set[int]]) -> None:
    by_scope: dict[str, dict[Phase, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, (_ref, action) in enumerate(actions):
        if action.subject.scope:
            by_scope[action.subject.scope][action.phase].append(number)
    for phases in by_scope.values():
        _wait_for_shared(actions, waits, phases)
        ordered = sorted(phases)
        for earlier, later in pairwise(ordered):
            for number in phases[later]:
                waits[number].update(phases[earlier])


def _wait_for_shared(
    actions: list[tuple[Ref, Action]], waits: list[set[int]], phases: Mapping[Phase, list[int]]
) -> None:
    """Nothing is stopped before what jails share, and what is built afterwards needs, is there."""
    for number in phases.get(Phase.TEARDOWN, ()):
        for later in phases.get(Phase.BUILD, ()):
            made = (n for n in waits[later] if not actions[n][1].subject.scope and actions[n][1].before is None)
            waits[number].update(made)


def _sorted(actions: list[tuple[Ref, Action]], waits: list[set[int]]) -> list[int]:
    """Kahn's algorithm; among the ready, the order of kinds and names, so that plans read the same each time."""
    blocked = {n: len(w) for n, w in enumerate(waits)}
    followers: dict[int, list[int]] = defaultdict(list)
    for number, waited in enumerate(waits):
        for earlier in waited:
            followers[earlier].append(number)
    ready = [n for n, count in blocked.items() if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        number = heappop(ready)
        order.append(number)
        for follower in followers[number]:
            blocked[follower] -= 1
            if blocked[follower] == 0:
                heappush(ready, follower)
    if len(order) != len(actions):
        stuck = ", ".join(str(actions[n][0]) for n, count in blocked.items() if count and n not in order)
        raise ReconcilerError(
            Diagnostic("plan-cycle", "The needs of these resources run in a circle", stuck, "Look at their depends_on.")
        )
    return order


def _basis(steps: tuple[Step, ...], observed: World, kinds: Mapping[str, Kind], wanted: World) -> Mapping[str, str]:
    """What each touched scope and its needs looked like: a saved plan is refused when any of it moved."""
    scopes = {step.scope for step in steps}
    refs = {r.ref for r in observed.values() if r.scope in scopes and r.scope} if scopes else set()
    for step in steps:
        refs.add(step.action.ref)
        refs |= step.action.subject.needs()
    basis = {}
    for ref in sorted(refs):
        resource, want = observed.get(ref), wanted.get(ref)
        if resource is not None and want is not None:
            resource = kinds[ref.kind].align(resource, want)
        basis[str(ref)] = fingerprint(resource)
    return basis
