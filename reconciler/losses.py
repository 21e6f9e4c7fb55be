"""What a jail wrote into its root that a new root would not have, and that nobody declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.kind import Seen
from reconciler.kinds.root import Root
from reconciler.kinds.root import have as have_roots
from reconciler.model.action import Plan
from reconciler.model.diagnostic import HostError
from reconciler.undeclared import undeclared

if TYPE_CHECKING:
    from reconciler.reconcile import Session


def losses(session: Session, plan: Plan) -> dict[str, tuple[str, ...]]:
    """What would be lost with each root that is replaced; asked only where something was written. Raises HostError."""
    lost: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        root = step.action.after
        if not isinstance(root, Root) or step.action.before is not None or root.carried >= 0:
            continue
        if changes := written(session, step.scope):
            lost[step.scope] = changes
    return lost


def written(session: Session, jail: str) -> tuple[str, ...]:
    """Paths of the live root that the jail wrote and nobody declared. Raises HostError."""
    path = f"jails/{jail}/{session.allocated[jail].live}"
    row = session.seen.rows.get(path)
    return _changes(session, jail, row.name) if row is not None and _written(session.seen).get(path) else ()


def _written(seen: Seen) -> Mapping[str, int]:
    """Bytes that each root was written since its seal; what zfs says by itself counts from its latest snapshot only."""
    if "written" not in seen.worked_out:
        seen.worked_out["written"] = {f"jails/{root.name}": root.written for root in have_roots(seen)}
    found: Mapping[str, int] = seen.worked_out["written"]
    return found


def _changes(session: Session, jail: str, dataset: str) -> tuple[str, ...]:
    """Paths that the jail changed and nobody declared. A root that is not mounted cannot be looked into."""
    live = session.place.folder(f"live/{jail}")
    mounted = any(m.source == dataset and m.target == live for m in session.observed.mounts)
    if not mounted:
        return ()
    try:
        changes = session.host.datasets.diff(f"{dataset}@sealed", dataset)
    except HostError as error:
        # A jail that wrote very much is as one that wrote: it must not keep the others from being planned.
        if error.diagnostics[0].code != "output-too-large":
            raise
        return ("/ (more than can be listed)",)
    return undeclared(session.selected.jails[jail].doc, changes, live)
