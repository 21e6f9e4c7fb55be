"""`reconcile package show`: what a package says of itself, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given


def show(
    package: Annotated[Path, typer.Argument(help="The archive of a package.")],
    files: Annotated[bool, typer.Option("--files", help="List every file and deletion too.")] = False,
    as_json: given.AsJSON = False,
) -> int:
    """Show what a package is for and what it changes.

    Its manifest is read, and nothing more; see `verify` for the rest.
    Exit status: 0 shown, 1 it cannot be read, 64 usage.
    """
    from reconciler.packages.inspect import opened

    manifest = opened(package).manifest
    if as_json:
        from reconciler.packages.manifest import serialize

        print(serialize(manifest).decode(), end="")
        return 0
    from reconciler.cli.packaging import listing, summary

    for text in (*summary(manifest), *(listing(manifest) if files else ())):
        print(text)
    return 0


VERB = show
