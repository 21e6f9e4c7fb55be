"""`reconcile destroy`: the only command that takes a jail's data away."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given

REFUSED = 3


def destroy(
    name: Annotated[str, typer.Argument(help="A jail, or a volume as JAIL/VOLUME.")],
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    yes: given.Yes = False,
) -> int:
    """Destroy a jail that no spec names, or one volume of it, with all its data.

    Shows what would go and asks for the name. Snapshots, holds and clones of others are never destroyed: the
    command refuses and names them. Exit status: 0 done, 1 failed, 3 refused, 64 usage.
    """
    from reconciler.cli import destroying, session, show
    from reconciler.model.diagnostic import Refused

    run = session.pool_session(session.changing(host), specs, given.labels(label))
    try:
        destroying.destroy(run, name, yes=yes)
    except Refused as error:
        show.show(error.diagnostics)
        return REFUSED
    return 0


COMMAND = destroy
