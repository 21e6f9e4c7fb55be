"""`reconcile approve`: lets a commit go on that the agent holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def approve(
    commit: Annotated[str, typer.Argument(help="The commit, or how it begins; the one that waits when left out.")] = "",
    allow_prune: Annotated[
        bool, typer.Option("--allow-prune", help="Let many jails go at once that this commit no longer names.")
    ] = False,
    allow_data_loss: Annotated[
        list[str] | None,
        typer.Option("--allow-data-loss", help="A jail, or JAIL/VOLUME, whose undeclared data this commit may let go."),
    ] = None,
    allow_rewrite: Annotated[
        bool, typer.Option("--allow-rewrite", help="Follow it although the last applied commit is not in its history.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", help="The agent's configuration.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, as for reconcile agent.")] = None,
) -> int:
    """Let the agent apply a commit now: whatever `approval` and windows say, and with these consents for it alone.

    See what it would do first: reconcile status, or the agent's page. Exit status: 0 done, 1 failed, 64 usage.
    """
    import os

    from reconciler.agent.settings import load_config
    from reconciler.cli import agent_orders
    from reconciler.cli.options import settings

    agent = load_config(config, os.environ, settings(set_))
    loss = tuple(allow_data_loss or ())
    print(agent_orders.approve_commit(agent, commit, prune=allow_prune, loss=loss, rewrite=allow_rewrite))
    return 0


COMMAND = approve
