"""`reconcile suspend`: leaves a jail alone until it is resumed."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given


def suspend(
    name: Annotated[str, typer.Argument(help="The jail.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever finds it suspended.")],
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Leave a jail alone: no run changes it until `reconcile resume`. It goes on running.

    The mark lies in the pool, so it holds for every machine and agent. Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import session, suspending

    run = session.pool_session(session.changing(host), specs, given.labels(label))
    why = suspending.reason(reason)
    run.host.datasets.set(suspending.dataset(run, name), {suspending.PROPERTY: why})
    print(f"{name} is suspended: {why}. It stays as it is, and no run changes it. Undo: reconcile resume {name}")
    return 0


COMMAND = suspend
