"""`reconcile run`: runs a stage of a jail's Makejail by hand."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reconciler.cli import options as given

_FOREVER = 20 * 24 * 3600.0  # seconds; poll(2) counts milliseconds in 31 bits


def run(
    name: Annotated[str, typer.Argument(help="The running jail.")],
    args: Annotated[
        list[str] | None, typer.Argument(help="Arguments of the stage after --, as in: -- --port 8080.")
    ] = None,
    stage: Annotated[str, typer.Option("--stage", help="The stage: cmd, apply, or custom:NAME.")] = "cmd",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Run the cmd, apply or a custom stage of a running jail, as it was kept when its files were written.

    precmd runs before cmd, and postcmd after it whatever happened. Exit status: that of the stage;
    1 failed, 64 usage.
    """
    from reconciler.cli import session, staging

    run_ = session.pool_session(session.changing(host), specs, given.labels(label))
    asked = staging.Stage(run_.host, run_.document.mountpoint, name, stage)
    live = sys.stdout.isatty()
    done = staging.run(asked, args or [], _FOREVER, _write if live else None)
    if not live:
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
        sys.stdout.flush()
    return done.status


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


COMMAND = run
