"""`reconcile package verify`: whether packages hold what they say, and who says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given


def verify(
    packages: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Archives of packages.")],
    digest: Annotated[str, typer.Option("--digest", help="The SHA256 that the archive must have.")] = "",
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", help="A file of public keys, of which one must have signed. May be given again."),
    ] = None,
    as_json: given.AsJSON = False,
) -> int:
    """Check packages whole: digest, signature, every file.

    Nothing is unpacked, and no host is asked. The digest is that of --digest, and that of the file .sha256
    beside the archive, where there is one. Exit status: 0 all are good, 1 one is not, 64 usage.
    """
    from reconciler.cli import show
    from reconciler.cli.packaging import Verdict, keys, lines, verdict
    from reconciler.model.diagnostic import Diagnostic, ReconcilerError

    if digest and len(packages) > 1:
        raise typer.BadParameter("--digest is for one package.")
    trust = keys(key or [])
    good: list[Verdict] = []
    bad: list[Diagnostic] = []
    for path in packages:
        try:
            good.append(verdict(path, digest, trust))
        except ReconcilerError as error:
            bad += error.diagnostics
    if as_json:
        from json import dumps

        print(dumps([found.facts() for found in good], indent=2))
    else:
        for found in good:
            print("\n".join(lines(found)))
    show.show(bad)
    return 1 if bad else 0


VERB = verify
