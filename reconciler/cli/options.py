"""Arguments and options that several commands share, with their help texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

SpecPath = Annotated[Path, typer.Argument(help="The folder of specs, or one spec file.")]
Specs = Annotated[
    Path | None,
    typer.Option("--specs", help="The folder of specs, which also says which pool is meant. [default: specs]"),
]
HostURL = Annotated[
    str,
    typer.Option(
        "--host",
        envvar="RECONCILER_HOST",
        help="The host: freebsd: for this machine, ssh://[user@]host[:port], or sandbox:DIR.",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="A label of this machine as KEY=VALUE, held against `match` of Host documents."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Look at this jail and at what jails share; may be given again. Never prunes."),
]
Retry = Annotated[
    list[str] | None,
    typer.Option("--retry", help="Try a root of this jail again that failed its check before."),
]
Mirror = Annotated[
    str,
    typer.Option(
        "--mirror", envvar="RECONCILER_MIRROR", help="Fetch releases from here where their document names no mirror."
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline", envvar="RECONCILER_OFFLINE", help="Download nothing: use the cache and file: URLs."
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Use nothing that an earlier run remembered of specs and verdicts.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def labels(given: Iterable[str] | None) -> dict[str, str]:
    """`KEY=VALUE` words as a mapping. Raises typer.BadParameter (exit status 64)."""
    return _pairs("--label", given)


def settings(given: Iterable[str] | None) -> dict[str, str]:
    """`KEY=VALUE` words of --set. Raises typer.BadParameter (exit status 64)."""
    return _pairs("--set", given)


def _pairs(option: str, given: Iterable[str] | None) -> dict[str, str]:
    found = {}
    for word in given or ():
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{option} takes KEY=VALUE, and {word!r} is none.")
        found[key] = value
    return found
