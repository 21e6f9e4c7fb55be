"""`reconcile suspend`: leaves a jail alone until it is resumed."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given


def suspend(
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever finds it suspended.")],
    name: Annotated[str, typer.Argument(help="The jail.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Instead of one jail: have the agent change nothing at all.")
    ] = False,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Leave a jail alone: no run changes it until `reconcile resume`. It goes on running.

    The mark lies in the pool, so it holds for every machine and agent. With --all the agent goes on looking and
    planning; what is applied by hand is up to you. Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import agent_orders, session, suspending
    from reconciler.cli.record import noted

    if bool(name) == everything:
        raise typer.BadParameter("name a jail, or say --all")
    run = session.pool_session(session.changing(host), specs, given.labels(label))
    if everything:
        with noted(run.host.url, run.specs.digest, "", f"suspend --all: {reason}"):
            why = agent_orders.suspend_all(run.host, run.document.pool, reason)
        print(f"The agent is suspended: {why}. It changes nothing. Undo: reconcile resume --all")
        return 0
    why = suspending.reason(reason)
    dataset = suspending.dataset(run, name)
    with noted(run.host.url, run.specs.digest, name, f"suspend {name}: {why}"):
        run.host.datasets.set(dataset, {suspending.PROPERTY: why})
    print(f"{name} is suspended: {why}. It stays as it is, and no run changes it. Undo: reconcile resume {name}")
    return 0


COMMAND = suspend
