"""`reconcile package pull`: takes a package from a folder or a web server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Write it to this folder here, not to the store of the pool."),
]
Key = Annotated[
    list[Path] | None, typer.Option("--key", help="With --out: a file of public keys, of which one must have signed.")
]
MaxSize = Annotated[
    str, typer.Option("--max-size", metavar="SIZE", help="Most bytes to take. [default: the Host document's, or 4G]")
]


def pull(
    source: Annotated[str, typer.Argument(help="A path, or a file:, http: or https: URL of an archive.")],
    digest: Annotated[
        str, typer.Option("--digest", help="The SHA256 that it must have. [default: from the .sha256 beside it]")
    ] = "",
    out: Out = None,
    key: Key = None,
    max_size: MaxSize = "",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Take a package from a path or a server, and keep it.

    All of it is verified first. What was cut short goes on where it was with the next try, where the server can; of
    a server that does not say how much there is, at most 1 GiB is taken. For the store, policy.packages of the Host
    document says whose signatures count. A .sha256 from the same server says that nothing was cut short, not who
    made it. Exit status: 0 kept, 1 failed, 64 usage.
    """
    from reconciler.cli import packaging, storing
    from reconciler.cli.lock import locked
    from reconciler.packages.verify import LARGEST

    most = storing.size_named(max_size)
    if out is not None:
        found = storing.pulled(source, digest, packaging.keys(key or []), most or LARGEST)
        name = found.file if found.manifest else storing.name_in(source)
        print(f"{storing.place(found, out, name)}: sha256:{found.sha256}")
        return 0
    if key:
        raise typer.BadParameter("--key goes with --out; for the store, the Host document says which keys count.")
    run, store = storing.pool(specs, host, given.labels(label), change=True)
    largest = most or run.document.policy.packages.max_size
    found = storing.pulled(source, digest, storing.trust_of(run), largest)
    if not found.manifest:
        print("It is of the first format: it does not say what it is for, nor what it deletes.")
    with locked(run.host, run.document.pool, "package pull"):
        storing.stored(store, found, source)
    print(f"{store.path(found.sha256)}: {found.file if found.manifest else storing.name_in(source)}")
    return 0


VERB = pull
