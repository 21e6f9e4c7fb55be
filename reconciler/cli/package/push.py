"""`reconcile package push`: puts a package into a folder, or on a web server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given


def push(
    package: Annotated[
        str, typer.Argument(help="An archive here; or, of the store, a name or the beginning of a SHA256.")
    ],
    destination: Annotated[str, typer.Argument(help="A folder, or an http: or https: URL of one that takes PUT.")],
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Copy a package to a folder or a server.

    The archive, its signature and its .sha256 go where others can take them from, and are read back. A password
    for a server comes from ~/.netrc. Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import storing
    from reconciler.packages.signature import Trust

    if Path(package).is_file():
        found = storing.here(Path(package))
        name = found.file if found.manifest else Path(package).name
    else:
        _run, store = storing.pool(specs, host, given.labels(label), change=False)
        one = storing.named(store, package)
        found, name = storing.fetched(store, one, Trust()), one.note.file
    if destination.startswith(("http://", "https://")):
        print(f"{storing.sent(found, destination, name)}: sha256:{found.sha256}")
    else:
        folder = Path(storing.folder_of(destination))
        print(f"{storing.place(found, folder, name)}: sha256:{found.sha256}")
    return 0


VERB = push
