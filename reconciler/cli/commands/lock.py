"""`reconcile lock`: pins what specs read from the network, and moves the pins when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given

UNPINNED = 2
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH|NAME", help="The specs [default: specs]; then, with --update, what to move."),
]


def lock(
    words: Words = None,
    update: Annotated[
        bool, typer.Option("--update", help="Move what is pinned: all of it, or the packages and addresses named.")
    ] = False,
    run_commands: Annotated[
        bool,
        typer.Option(
            "--run-commands",
            help="Run the commands of `INCLUDE cmd+` here, as you, and pin what they print. Read the Makejails first.",
        ),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; only say what is not pinned.")] = False,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Write reconcile.lock beside the specs: commits, digests of files, versions and checksums of packages.

    What is pinned stays as it is without --update. The host is asked for packages, the update server for
    patch levels; nothing is installed. What INCLUDE cmd+ runs is run with --run-commands alone, on this machine,
    where policy.host_code allows it, and what it printed is kept in reconcile.lock.d beside the lock: commit both.
    Exit status: 0 done, 1 failed, 2 something is not pinned (with --check), 64 usage.
    """
    from reconciler.cli import locking, session

    path, names = _split(words or [])
    if names and not update:
        raise typer.BadParameter(f"{names[0]} is no folder of specs; names go with --update.")
    if check and (update or run_commands):
        raise typer.BadParameter(f"--check changes nothing, and {'--update' if update else '--run-commands'} does.")
    asked = locking.Asked(session.options(path, given.labels(label)), host, update, tuple(names), run_commands)
    return locking.check(asked) if check else locking.lock(asked)


def _split(words: list[str]) -> tuple[Path, list[str]]:
    """A first word that is a folder or a YAML file names the specs."""
    if words and (Path(words[0]).is_dir() or words[0].endswith((".yaml", ".yml"))):
        return Path(words[0]), words[1:]
    return Path("specs"), words


COMMAND = lock
