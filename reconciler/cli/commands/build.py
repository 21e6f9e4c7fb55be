"""`reconcile build`: builds the layers of a jail, and does not touch the jail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given

REFUSED = 3
HOUR = 3600.0


def build(
    name: Annotated[str, typer.Argument(help="The jail whose layers are built.")],
    specs: Annotated[Path, typer.Option("--specs", help="The folder of specs, or one spec file.")] = Path("specs"),
    host: given.HostURL = "",
    label: given.Labels = None,
    mirror: given.Mirror = "",
    offline: given.Offline = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every segment of the Makejail again, beside what is there.")
    ] = False,
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Leave the build jail of a failed segment, to be looked into.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds that each segment of the Makejail may take.")
    ] = HOUR,
) -> int:
    """Build what the next root of a jail is made of; the jail that runs goes on untouched. `apply` uses what is built.

    With --no-cache the new layers lie beside the old ones, which stay for the roots made of them.
    Exit status: 0 done, 1 failed, 3 refused, 64 usage, 130 or 143 stopped by a signal.
    """
    from dataclasses import replace

    from reconciler.cli import building, session, show
    from reconciler.model.diagnostic import Refused

    options = session.options(specs, given.labels(label), only=[name], offline=offline)
    if no_cache:
        options = replace(options, rebuild=frozenset({name}))
    try:
        return building.run(building.Asked(options, name, host, mirror, timeout, keep_failed, offline))
    except Refused as error:
        show.show(error.diagnostics)
        return REFUSED


COMMAND = build
