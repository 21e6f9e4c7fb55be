"""`reconcile why-not`: what keeps a jail from being as its spec says. Changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given


def why_not(
    name: Annotated[str, typer.Argument(help="The jail.")],
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Say everything that holds a jail: marks, a failed root, a wait after failures, a refused commit, a window.

    Exit status: 0 nothing holds it, 1 failed, 2 something does, 64 usage.
    """
    from reconciler.agent.published import read_status
    from reconciler.cli import holding, session
    from reconciler.cli.show import visible
    from reconciler.model.diagnostic import Diagnostic, SpecError

    run = session.pool_session(session.reading(host), specs, given.labels(label))
    status = read_status(session.run_folder())
    if status is not None and status.get("host") != run.host.url:
        status = None
    known = name in run.selected.jails or f"jails/{name}" in run.seen.rows
    if not known:
        detail = f"{name} is in no spec here, and {run.document.pool} has no such jail."
        raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, "reconcile status"))
    found = list(holding.reasons(run, name, status))
    for reason in found:
        print(visible(holding.plain(reason, status)))
    if not found:
        print(f"Nothing holds {visible(name)}.")
    return 2 if found else 0


COMMAND = why_not
