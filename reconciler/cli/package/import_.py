"""`reconcile package import`: makes a package of all that a jail differs in from its release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given
from reconciler.cli.package import options as packaged
from reconciler.cli.package.build import Ignore, Include, Times, UpTo, last_level, settled_times


def import_(
    jail: Annotated[str, typer.Argument(help="The jail. It may run, and goes on.")],
    name: packaged.Name,
    version: packaged.Version,
    out: packaged.Out = Path(),
    ignore: Ignore = None,
    include: Include = None,
    up_to: UpTo = "",
    compression: packaged.Compress = "xz",
    bare_digest: packaged.Bare = False,
    times: Times = "real",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Make a package of everything that distinguishes a jail's root from the release that it was made from.

    With it a bare jail of that release becomes like this one, but for its volumes and what is usually left out.
    Exit status: 0 made, 1 failed, 64 usage.
    """
    from reconciler.cli import recording
    from reconciler.cli.packaging import compression_named

    pool = recording.Pool(specs, host, given.labels(label))
    asked = recording.Asked(
        jail, name, version, out, compression_named(compression), bare_digest,
        tuple(ignore or ()), tuple(include or ()), last_level(up_to), False, settled_times(times),
    )  # fmt: skip
    return recording.whole(pool, asked)


VERB = import_
