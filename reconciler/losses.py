"""What a jail wrote into its root that a new root would not have, and that nobody declared.

The root of a jail that runs is mounted, and a plan can look into it. That of one that does not run is mounted for the
look, read-only: so a plan only says that it was written to, and the apply that is to replace it looks first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reconciler.build.workspace import Workspace
from reconciler.kind import Seen
from reconciler.kinds.root import Root
from reconciler.kinds.root import have as have_roots
from reconciler.model.action import Note, Plan, Site
from reconciler.model.diagnostic import HostError
from reconciler.undeclared import undeclared

if TYPE_CHECKING:
    from reconciler.reconcile import Session

Lost = dict[str, tuple[str, ...]]


def losses(session: Session, plan: Plan) -> Lost:
    """What would be lost with each root that is replaced and that is mounted, where it was written to.

    Raises HostError.
    """
    return _lost(session, plan, lambda jail: written(session, jail))


def unmounted(session: Session, plan: Plan, site: Site) -> Lost:
    """The same of those that are not mounted. The caller holds the lock. Raises HostError."""
    return _lost(session, plan, lambda jail: _looked_into(session, jail, site))


def unseen(session: Session, plan: Plan) -> tuple[Note, ...]:
    """What a plan cannot say of roots that it replaces: those of jails that do not run."""
    return tuple(
        Note(
            jail,
            "undeclared-unseen",
            f"{jail} does not run, and its root {session.allocated[jail].live} was written to since it was built: "
            "`apply` looks into it first, and leaves everything as it is where it finds what nothing declares.",
            session.selected.jails[jail].place(()),
        )
        for jail in _replaced(plan)
        if jail not in session.options.consent.data_loss and hidden(session, jail)
    )


def _replaced(plan: Plan) -> tuple[str, ...]:
    """The jails whose root another one takes the place of, but for those that are copied."""
    roots = ((step, step.action.after) for step in plan.steps if step.action.before is None)
    return tuple(step.scope for step, root in roots if isinstance(root, Root) and root.carried < 0)


def _lost(session: Session, plan: Plan, look: Callable[[str], tuple[str, ...]]) -> Lost:
    return {jail: changes for jail in _replaced(plan) if (changes := look(jail))}


def written(session: Session, jail: str) -> tuple[str, ...]:
    """Paths of the live root that the jail wrote and nobody declared; none where it is not mounted.

    Raises HostError.
    """
    dataset, live = _dataset(session, jail), session.place.folder(f"live/{jail}")
    return _changes(session, jail, dataset, live) if dataset and _mounted(session, jail, dataset) else ()


def hidden(session: Session, jail: str) -> bool:
    """Whether the live root was written to and is not mounted, so that nobody can look into it now."""
    dataset = _dataset(session, jail)
    return bool(dataset) and not _mounted(session, jail, dataset)


def _looked_into(session: Session, jail: str, site: Site) -> tuple[str, ...]:
    if jail in session.options.consent.data_loss or not hidden(session, jail):
        return ()
    dataset = _dataset(session, jail)
    with Workspace(site, dataset) as room:
        room.mount("ro")
        return _changes(session, jail, dataset, room.path)


def _dataset(session: Session, jail: str) -> str:
    """The live root's dataset where it was written to since its seal, else ""."""
    path = f"jails/{jail}/{session.allocated[jail].live}"
    row = session.seen.rows.get(path)
    return row.name if row is not None and _written(session.seen).get(path) else ""


def _mounted(session: Session, jail: str, dataset: str) -> bool:
    live = session.place.folder(f"live/{jail}")
    return any(m.source == dataset and m.target == live for m in session.observed.mounts)


def _written(seen: Seen) -> Mapping[str, int]:
    """Bytes that each root was written since its seal; what zfs says by itself counts from its latest snapshot only."""
    if "written" not in seen.worked_out:
        seen.worked_out["written"] = {f"jails/{root.name}": root.written for root in have_roots(seen)}
    found: Mapping[str, int] = seen.worked_out["written"]
    return found


def _changes(session: Session, jail: str, dataset: str, place: str) -> tuple[str, ...]:
    """Paths that the jail changed and nobody declared, of a root that is mounted at a place."""
    try:
        changes = session.host.datasets.diff(f"{dataset}@sealed", dataset)
    except HostError as error:
        # A jail that wrote very much is as one that wrote: it must not keep the others from being planned.
        if error.diagnostics[0].code != "output-too-large":
            raise
        return ("/ (more than can be listed)",)
    return undeclared(session.selected.jails[jail].doc, changes, place)
