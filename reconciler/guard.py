"""What a plan may not do without being told: lose data, let go of many jails, stop what is protected.

Pure: it reads a plan and says no, with the words that would make it a yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.kinds.config import Config
from reconciler.kinds.dataset import Dataset, PruneDataset
from reconciler.kinds.volume import PruneVolume
from reconciler.model.action import Plan
from reconciler.model.diagnostic import Diagnostic
from reconciler.spec.document import Policy
from reconciler.spec.select import Selected

BUILT = frozenset({"release", "layer", "root"})
FEW = 3  # pruning is never refused for its share below this many


@dataclass(frozen=True, slots=True)
class Consent:
    """What the operator allowed on the command line. `data_loss` names jails or JAIL/VOLUME."""

    prune: bool = False
    data_loss: frozenset[str] = frozenset()


def guard(
    plan: Plan,
    specs: Selected,
    consent: Consent,
    protected: Iterable[str],
    undeclared: Mapping[str, tuple[str, ...]],
    free: int | None = None,
) -> tuple[Diagnostic, ...]:
    """Every refusal; an empty tuple lets the plan pass. `free` is the pool's free space in bytes, None when unknown."""
    going = {s.action.subject.scope for s in plan.steps if isinstance(s.action, PruneDataset)}
    replaced = {s.scope for s in plan.steps if s.action.ref.kind == "root" and s.action.before is None}
    return (
        *_prune(plan, specs.host.policy, consent),
        *(_protected(name) for name in sorted(going & set(protected))),
        *_volumes(plan, consent),
        *_space(plan, specs.host.policy, free),
        *_recorded(plan),
        *undeclared_changes({name: undeclared[name] for name in replaced & undeclared.keys()}, specs, consent),
    )


def undeclared_changes(
    lost: Mapping[str, tuple[str, ...]], specs: Selected, consent: Consent
) -> tuple[Diagnostic, ...]:
    """A refusal for each jail that would lose something with its root, and nobody consented."""
    return tuple(_undeclared(name, lost[name], specs) for name in sorted(lost.keys() - consent.data_loss))


def _space(plan: Plan, policy: Policy, free: int | None) -> Iterable[Diagnostic]:
    builds = [s for s in plan.steps if s.action.ref.kind in BUILT and s.action.before is None]
    if free is None or not builds or free >= policy.min_free:
        return
    yield Diagnostic(
        "free-space-low",
        "There is too little space to build in",
        f"{free} bytes are free, and policy.min_free asks for {policy.min_free}; "
        f"{len(builds)} of the steps would build something.",
        "reconcile gc",
        builds[0].span,
    )


def _recorded(plan: Plan) -> Iterable[Diagnostic]:
    """What is mounted in a jail stays while a union is laid over its root: the union belongs to that root."""
    for step in plan.steps:
        before, after = step.action.before, step.action.after
        if not isinstance(before, Config) or not isinstance(after, Config) or not before.upper:
            continue
        if dict(before.files).get("fstab") != dict(after.files).get("fstab"):
            yield Diagnostic(
                "recording-in-the-way",
                "A recording with unionfs would be cut off",
                f"{before.name} would get another root or other mounts, and {before.upper} is laid over what it has.",
                f"reconcile package record stop --restart {before.name}\n"
                f"or, to forget it: reconcile package record discard --restart {before.name}",
                step.span,
            )


def _protected(name: str) -> Diagnostic:
    return Diagnostic(
        "jail-protected",
        "A protected jail would go",
        f"{name} is marked protect: true, and no spec names it any more.",
        "Put its spec back; to let it go, apply it with protect: false first.",
    )


def _prune(plan: Plan, policy: Policy, consent: Consent) -> Iterable[Diagnostic]:
    going = [s.action.subject.scope for s in plan.steps if isinstance(s.action, PruneDataset)]
    present = [
        r for r in plan.observed.values() if isinstance(r, Dataset) and r.name.startswith("jails/") and not r.pruned
    ]
    if not going:
        return
    names = ", ".join(sorted(going))
    if len(going) == len(present):
        yield Diagnostic(
            "prune-all",
            "Every jail of this host would go",
            f"No spec names any of the jails that are here: {names}.",
            "Check that PATH is the right folder and that a Host document matches. "
            "To remove jails for good: reconcile destroy NAME",
        )
    elif len(going) >= FEW and len(going) * 100 > policy.max_prune_percent * len(present) and not consent.prune:
        yield Diagnostic(
            "prune-many",
            "Many jails would go at once",
            f"{len(going)} of {len(present)} jails are in no spec any more: {names}. "
            f"More than {policy.max_prune_percent} % needs consent.",
            "reconcile apply --allow-prune",
        )


def _volumes(plan: Plan, consent: Consent) -> Iterable[Diagnostic]:
    pruned = {s.action.subject.scope for s in plan.steps if isinstance(s.action, PruneDataset)}
    # A run that was cut off may have marked the jail, and not yet all of its volumes.
    kept = plan.wanted.keys()
    pruned |= {r.jail for r in plan.observed.values() if isinstance(r, Dataset) and r.pruned and r.ref not in kept}
    for step in plan.steps:
        if isinstance(step.action, PruneVolume):
            name, jail = step.action.subject.name, step.action.subject.scope
            # A whole jail that goes is only marked, its volumes stay beside it: nothing is lost.
            if jail in pruned or {name, jail} & consent.data_loss:
                continue
            yield Diagnostic(
                "volume-undeclared",
                "A volume with data is in no spec any more",
                f"Volume {name} would be let go (its dataset stays, marked as pruned).",
                f"reconcile apply --allow-data-loss {name}",
                step.span,
            )


def _undeclared(name: str, paths: tuple[str, ...], specs: Selected) -> Diagnostic:
    # The jail chose the names: a line end in one would begin a line of ours.
    plain = (path if path.isprintable() else ascii(path)[1:-1] for path in paths[:20])
    shown = "\n".join(f"  {path}" for path in plain)
    more = f"\n  … and {len(paths) - 20} more" if len(paths) > 20 else ""
    sourced = specs.jails.get(name)
    return Diagnostic(
        "undeclared-changes",
        "The jail wrote into its root what a new root would not have",
        f"{name}: {len(paths)} path{'s' if len(paths) != 1 else ''} changed that no volume, keep or ignore covers:\n"
        f"{shown}{more}",
        f"Declare them under `volumes`, `keep` or `ignore`; or let them go: reconcile apply --allow-data-loss {name}",
        sourced.place(()) if sourced else None,
    )
