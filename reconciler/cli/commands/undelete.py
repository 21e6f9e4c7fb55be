"""`reconcile undelete`: takes a jail back that was let go."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given


def undelete(
    name: Annotated[str, typer.Argument(help="A jail that was pruned.")],
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Take the mark away from a pruned jail and its volumes, so that nothing may collect them.

    Its data was there all the time; its spec makes it run again. Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import session
    from reconciler.cli.kept import jail_paths
    from reconciler.cli.lock import locked
    from reconciler.cli.paper import many
    from reconciler.cli.record import noted
    from reconciler.model.diagnostic import Diagnostic, SpecError

    run = session.pool_session(session.changing(host), specs, given.labels(label))
    with locked(run.host, run.document.pool, f"undelete {name}"):
        rows = [run.seen.rows[path] for path in jail_paths(run.seen, name)]
        pruned = [row.name for row in rows if row.user.get("pruned")]
        if not pruned:
            why = "It is not marked as pruned." if rows else f"{run.document.pool} holds nothing of it."
            detail = f"{name}: {why} Nothing was changed."
            raise SpecError(Diagnostic("not-pruned-jail", "There is nothing to take back", detail, "reconcile status"))
        with noted(run.host.url, run.specs.digest, name, f"undelete {name}"):
            for dataset in pruned:
                run.host.datasets.unset(dataset, "reconciler:pruned")
    print(f"{name} is no longer marked as pruned ({many(len(pruned), 'dataset')}).")
    if name not in run.chosen.jails:
        print("No spec names it: put its spec back before the next apply, which would let it go again.")
    return 0


COMMAND = undelete
