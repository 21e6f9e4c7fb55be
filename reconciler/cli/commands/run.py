"""`reconcile run`: runs a stage of a jail's Makejail by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from reconciler.cli import options as given

_CHUNK = 64 * 1024
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

    precmd runs before cmd, and postcmd after it whatever happened. A stage that holds a LOGIN is refused where
    standard input is no terminal. Exit status: that of the stage;
    1 failed, 64 usage.
    """
    from reconciler.cli import session, staging

    run_ = session.pool_session(session.changing(host), specs, given.labels(label))
    asked = staging.Stage(run_.host, run_.document.mountpoint, name, stage)
    live = sys.stdout.isatty()
    typed = _typed() if sys.stdin.isatty() else None
    done = staging.run(asked, args or [], _FOREVER, _write if live else None, typed)
    if not live:
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
        sys.stdout.flush()
    return done.status


def _typed() -> Iterator[bytes]:
    # Unbuffered: what still waits for the terminal when the stage has ended must not hold the lock of a buffer.
    while data := os.read(sys.stdin.fileno(), _CHUNK):
        yield data


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


COMMAND = run
