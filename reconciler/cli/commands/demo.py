"""`reconcile demo`: the whole way on an embedded host, from nothing to a rollback, checked as it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Everything is made here; an earlier demo in it is removed.")
    ] = Path(".demo"),
    specs: given.Specs = None,
) -> int:
    """Show plan, apply, drift, a replaced root, a rollback and a reboot on a simulated host, with real commands.

    The host stays in DIR/host to be looked at. Needs neither root nor FreeBSD. Exit status: 0 everything that is
    claimed was so, 1 something was not, 64 usage.
    """
    from reconciler.cli import demonstrating

    source = specs or Path("specs")
    if not (source / "host.yaml").is_file() or not (source / "site.yaml").is_file():
        raise typer.BadParameter(f"{source} does not hold the example fleet: run this in a checkout, or give --specs.")
    if directory.exists() and not demonstrating.is_demo(directory):
        raise typer.BadParameter(f"{directory} exists, and no demo made it: give another folder, or remove it.")
    return demonstrating.run(directory, source)


COMMAND = demo
