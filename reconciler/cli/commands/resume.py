"""`reconcile resume`: looks after a suspended jail again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.reconcile import Session


def resume(
    name: Annotated[str, typer.Argument(help="The suspended jail.")],
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what the next apply would do to it.")] = False,
) -> int:
    """Show what the next apply would do to a suspended jail, then take the mark away. Applies nothing.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import session, suspending

    run = session.pool_session(session.changing(host), specs, given.labels(label))
    dataset = suspending.dataset(run, name)
    why = run.seen.rows[f"jails/{name}"].user.get("suspended", "")
    if not why:
        print(f"{name} is not suspended.")
        return 0
    _show(run, name, why)
    if dry_run:
        print("It stays suspended (--dry-run).")
        return 0
    run.host.datasets.unset(dataset, suspending.PROPERTY)
    print(f"{name} is no longer suspended. Bring it to its spec: reconcile apply")
    return 0


def _show(run: Session, name: str, why: str) -> None:
    """What the next apply would do, as if the jail were not suspended."""
    from dataclasses import replace

    from reconciler.cli import render_plan
    from reconciler.cli.paper import paper
    from reconciler.reconcile import Session

    if name not in run.chosen.jails:
        print(f"No spec names {name} (suspended: {why}): the next apply on the folder of specs may let it go.\n")
        return
    only = replace(run.options, only=frozenset({name}), resumed=frozenset({name}))
    print(f"What the next apply would do to {name} (suspended: {why}):\n")
    print(render_plan.render(Session(run.host, only, run.specs).decide(), paper(), only.only))


COMMAND = resume
