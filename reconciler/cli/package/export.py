"""`reconcile package export`: writes a package that the pool keeps into a folder here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given
from reconciler.cli.package import options as made


def export(
    package: Annotated[str, typer.Argument(help="Name, NAME-VERSION, file name, or the beginning of its SHA256.")],
    out: made.Out = Path(),
    bare_digest: made.Bare = False,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Write a package that the pool keeps into a folder.

    Beside it come its .sha256, and its signature if it has one. Whatever is written was verified again. Exit
    status: 0 written, 1 failed, 64 usage.
    """
    from reconciler.cli import storing
    from reconciler.packages.signature import Trust

    _run, store = storing.pool(specs, host, given.labels(label), change=False)
    one = storing.named(store, package)
    found = storing.fetched(store, one, Trust())
    print(f"{storing.place(found, out, one.note.file, bare=bare_digest)}: sha256:{found.sha256}")
    return 0


VERB = export
