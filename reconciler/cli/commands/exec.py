"""`reconcile exec`: runs a command in a running jail."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Annotated, cast

import typer

from reconciler.cli import options as given

_FOREVER = 20 * 24 * 3600.0  # seconds; poll(2) counts milliseconds in 31 bits
_CHUNK = 64 * 1024


def exec_(
    name: Annotated[str, typer.Argument(help="The running jail.")],
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    host: given.HostURL = "",
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Pass on what is typed, line by line, as for: sh -i")
    ] = False,
) -> int:
    """Run a command in a running jail, as in: reconcile exec web -- service nginx status.

    A shell is: reconcile exec -i web -- sh -i. Without -i, standard input is passed on unless it is a terminal.
    Exit status: that of the command; 1 failed, 64 usage.
    """
    from reconciler.cli import session

    live = interactive or sys.stdout.isatty()
    done = session.changing(host).jails.exec(
        name,
        command,
        stdin=b"" if sys.stdin.isatty() and not interactive else _stdin(),
        timeout=_FOREVER,
        output=_write if live else None,
    )
    if not live:
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
        sys.stdout.flush()
    return done.status


def _stdin() -> Iterator[bytes]:
    stream = cast(io.BufferedReader, sys.stdin.buffer)
    # What still waits for the terminal when the command has ended must not hold the lock of a buffer.
    raw = getattr(stream, "raw", None)
    while data := raw.read(_CHUNK) if raw is not None else stream.read1(_CHUNK):
        yield data


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


COMMAND = exec_
