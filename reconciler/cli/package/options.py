"""Options that several verbs of `reconcile package` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def _checked(field: str) -> Callable[[str], str]:
    """Refuse, at once, a word that no manifest may have."""

    def check(word: str) -> str:
        from reconciler.packages.manifest import mistake

        if wrong := mistake(field, word):
            raise typer.BadParameter(wrong)
        return word

    return check


Name = Annotated[str, typer.Option("--name", help="Name of the package.", callback=_checked("name"))]
Version = Annotated[str, typer.Option("--version", help="Version of the package.", callback=_checked("version"))]
Release = Annotated[
    str,
    typer.Option("--release", help="The release that it is for, such as 15.1-RELEASE.", callback=_checked("release")),
]
Arch = Annotated[
    str,
    typer.Option("--arch", help="The architecture that it is for, as `uname -p` says.", callback=_checked("arch")),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The folder to write to. [default: here]", show_default=False)
]
Compress = Annotated[
    str, typer.Option("--compression", metavar="NAME", help="xz, or zstd: larger, and unpacked in less time.")
]
Bare = Annotated[
    bool, typer.Option("--bare-digest", help="Write the 64 digits alone to the .sha256, as the first format had it.")
]
