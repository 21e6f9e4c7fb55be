"""The two worlds of a run, made by all kinds."""

from __future__ import annotations

from collections.abc import Mapping

import reconciler.kinds
from reconciler.kind import Desired, Kind, Seen
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.model.value import Ref, World
from reconciler.registry import offered

# Only for reading: plans list kinds in this order. Order of execution comes from needs and phases.
READING_ORDER = ("service", "source", "dataset", "volume", "release", "layer", "root", "config", "jail")


def kinds() -> Mapping[str, Kind]:
    """Every kind that the folder offers, by the kind's own word."""
    found: dict[str, Kind] = {k.resource.kind: k for k in offered(reconciler.kinds, "KIND").values()}
    rest = [name for name in found if name not in READING_ORDER]
    return {name: found[name] for name in (*READING_ORDER, *rest) if name in found}


def observed_world(kinds_: Mapping[str, Kind], seen: Seen) -> World:
    """What the host shows that is ours."""
    return World(r for kind in kinds_.values() for r in kind.have(seen))


def wanted_world(kinds_: Mapping[str, Kind], desired: Desired) -> World:
    """What the specs want. Raises SpecError (code `claim-clash`) when two resources claim one thing."""
    world = World(r for kind in kinds_.values() for r in kind.want(desired))
    owners: dict[str, Ref] = {}
    clashes = []
    for resource in world.values():
        for claim in resource.claims():
            if claim in owners:
                detail = f"{claim} is claimed by {owners[claim]} and by {resource.ref}."
                clashes.append(Diagnostic("claim-clash", "Two resources claim one thing", detail))
            owners[claim] = resource.ref
    if clashes:
        raise SpecError(clashes)
    return world
