"""`reconcile package diff`: what distinguishes two packages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given

DIFFERENT = 2


def diff(
    one: Annotated[Path, typer.Argument(help="The archive of a package.")],
    other: Annotated[Path, typer.Argument(help="The archive of another, such as a later version.")],
    as_json: given.AsJSON = False,
) -> int:
    """Show what distinguishes two packages.

    Their manifests are read, and nothing more.
    `+` only the second brings it, `-` only the first, `~` with another content, `m` with another mode, owner, time ...
    Exit status: 0 they say the same, 1 one cannot be read, 2 they differ, 64 usage.
    """
    from reconciler.cli.packaging import compared, readable
    from reconciler.packages.inspect import opened

    said, found = compared(opened(one).manifest, opened(other).manifest)
    if as_json:
        from json import dumps

        rows = [{"sign": d.sign, "path": d.path, "what": d.what} for d in found]
        print(dumps({"package": said, "files": rows}, indent=2))
    else:
        for name, (before, after) in said.items():
            print(f"{name}: {before} → {after}")
        for d in found:
            print(f"{d.sign} {readable(d.path)}  ({d.what})")
    return DIFFERENT if said or found else 0


VERB = diff
