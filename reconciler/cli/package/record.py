"""`reconcile package record`: begins and ends the recording of what is done in a jail by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given

VERB = typer.Typer(help="Record what is done in a jail by hand, to make a package of it.", no_args_is_help=True)

Jail = Annotated[str, typer.Argument(help="The jail. It may run, and goes on.")]


@VERB.command("start")
def start(
    jail: Jail,
    method: Annotated[str, typer.Option("--method", help="zfs; unionfs loses too much to be offered on ZFS.")] = "zfs",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Begin: what the jail's root is now is what a package will be the difference from.

    Takes a snapshot and holds it. Volumes are no part of it. Exit status: 0 begun, 1 failed, 64 usage.
    """
    from reconciler.cli import recording

    if method == "unionfs":
        raise recording.of_unionfs(jail)
    if method != "zfs":
        raise typer.BadParameter(f"--method takes zfs, and {method!r} is not that.")
    return recording.start(recording.Pool(specs, host, given.labels(label)), jail)


@VERB.command("stop")
def stop(jail: Jail, specs: given.Specs = None, host: given.HostURL = "", label: given.Labels = None) -> int:
    """End: what the jail does from now on is not in the package. Exit status: 0 ended, 1 failed, 64 usage."""
    from reconciler.cli import recording

    return recording.stop(recording.Pool(specs, host, given.labels(label)), jail)


@VERB.command("discard")
def discard(jail: Jail, specs: given.Specs = None, host: given.HostURL = "", label: given.Labels = None) -> int:
    """Forget a recording and let go of its snapshots; the jail stays as it is.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import recording

    return recording.discard(recording.Pool(specs, host, given.labels(label)), jail)
