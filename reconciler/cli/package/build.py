"""`reconcile package build`: makes a package of what was recorded in a jail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given
from reconciler.cli.package import options as packaged

Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", help="Leave out these paths too, such as `root/build/*`.")
]
Include = Annotated[
    list[str] | None, typer.Option("--include", help="Take these in although they are usually left out.")
]
UpTo = Annotated[
    str, typer.Option("--up-to", help="Last patch level that it may be applied to; `any` for all later ones.")
]

Times = Annotated[
    str,
    typer.Option(
        "--times",
        metavar="HOW",
        help="`fixed`: one time for all that was written, so that doing it again gives the same package; or `real`.",
    ),
]


def build(
    jail: Annotated[str, typer.Argument(help="The jail whose recording was stopped.")],
    name: packaged.Name,
    version: packaged.Version,
    out: packaged.Out = Path(),
    ignore: Ignore = None,
    include: Include = None,
    up_to: UpTo = "",
    compression: packaged.Compress = "xz",
    bare_digest: packaged.Bare = False,
    times: Times = "real",
    keep: Annotated[bool, typer.Option("--keep-recording", help="Leave the recording, to build it again.")] = False,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Make a package of what changed between `record start` and `record stop`, and say what was left out.

    It is written here, not into the pool. Exit status: 0 made, 1 failed, 64 usage.
    """
    from reconciler.cli import recording
    from reconciler.cli.packaging import compression_named

    pool = recording.Pool(specs, host, given.labels(label))
    asked = recording.Asked(
        jail, name, version, out, compression_named(compression), bare_digest,
        tuple(ignore or ()), tuple(include or ()), last_level(up_to), keep, settled_times(times),
    )  # fmt: skip
    return recording.build(pool, asked)


def last_level(word: str) -> int | None:
    """A patch level, None for any, -1 where none was named. Raises typer.BadParameter."""
    if word in ("", "any"):
        return None if word else -1
    if not word.isdigit():
        raise typer.BadParameter(f"--up-to takes a patch level or `any`, and {word!r} is neither.")
    return int(word)


def settled_times(word: str) -> bool:
    """Whether times are to be fixed. Raises typer.BadParameter."""
    if word not in ("real", "fixed"):
        raise typer.BadParameter(f"--times takes real or fixed, and {word!r} is neither.")
    return word == "fixed"


VERB = build
