"""`reconcile agent`: keeps a host as a repository of specs says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.agent.config import AgentConfig

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration; /usr/local/etc/reconciler/agent.yaml where there is one."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: a field of the configuration, such as interval=30s or web.listen=..."),
]


def agent(
    config: Config = None,
    set_: Set = None,
    once: Annotated[bool, typer.Option("--once", help="One turn, for cron; then end.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only read the configuration: what is wrong with it, or each setting and who gave it.",
        ),
    ] = False,
    adopt_source: Annotated[
        bool, typer.Option("--adopt-source", help="Make the agent's source the one that the pool belongs to.")
    ] = False,
) -> int:
    """Follow a repository of specs: fetch, verify, plan, and apply the newest commit that may be applied.

    Runs until SIGTERM. SIGHUP makes it look at once, with its configuration anew where that has no mistakes. What it
    does: reconcile status, reconcile history.

    Exit status: 0 done, 1 failed, 3 the newest commit is refused, 4 some jails failed and others did not, 64 usage.
    """
    import os

    from reconciler.agent.settings import load_config

    def read() -> AgentConfig:
        return load_config(config, os.environ, flags)

    flags = given.settings(set_)
    if check:
        from reconciler.cli.agent_check import told

        return told(config, flags)
    settings = read()
    from reconciler.agent.published import alone
    from reconciler.cli import agent_run

    with alone(Path(settings.run)):
        return agent_run.run(settings, read, once=once, adopt=adopt_source)


COMMAND = agent
