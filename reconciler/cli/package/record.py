"""`reconcile package record`: begins and ends the recording of what is done in a jail by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given

VERB = typer.Typer(help="Record what is done in a jail by hand, to make a package of it.", no_args_is_help=True)

Jail = Annotated[str, typer.Argument(help="The jail.")]
Restart = Annotated[
    bool, typer.Option("--restart", help="With unionfs: stop the jail if it runs, and start it again afterwards.")
]
_LEAST = 1024 * 1024
_UPPER = "With unionfs: a folder of the host on UFS or tmpfs to record into. [default: a new tmpfs]"
_MEMORY = "With unionfs and no --upper: how much the tmpfs may hold."


@VERB.command("start")
def start(
    jail: Jail,
    method: Annotated[str, typer.Option("--method", help="zfs, or unionfs: see above.")] = "zfs",
    upper: Annotated[str, typer.Option("--upper", metavar="DIR", help=_UPPER)] = "",
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help=_MEMORY)] = "2G",
    restart: Restart = False,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Begin: what the jail's root is now is what a package will be the difference from.

    Takes a snapshot and holds it; the jail may run, and goes on. Volumes are no part of it.

    --method unionfs lays a folder over the root, which takes all that the jail writes; the root itself stays as it is.
    The jail must be stopped, or be stopped and started again with --restart. The folder must lie where there are
    whiteouts, on tmpfs or UFS: on ZFS nothing could be deleted or renamed. One of memory is lost with the next start of
    the host. What is copied up loses flags, extended attributes, ACLs and hard links: `build` takes the first
    three from the root below, and names the others. mount_unionfs(8) itself warns of using it.

    Exit status: 0 begun, 1 failed, 64 usage.
    """
    from reconciler.cli import recording
    from reconciler.cli.storing import size_named
    from reconciler.cli.unions import Union

    if method not in ("zfs", "unionfs"):
        raise typer.BadParameter(f"--method takes zfs or unionfs, and {method!r} is neither.")
    if method == "zfs" and (upper or restart):
        raise typer.BadParameter("--upper and --restart are for --method unionfs.")
    if method == "unionfs" and not upper and size_named(memory, "--memory") < _LEAST:
        raise typer.BadParameter("--memory: less than 1M; a tmpfs of size 0 would take all that there is.")
    over = Union(upper.rstrip("/"), size_named(memory, "--memory"), restart) if method == "unionfs" else None
    return recording.start(recording.Pool(specs, host, given.labels(label)), jail, over)


@VERB.command("stop")
def stop(
    jail: Jail,
    restart: Restart = False,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """End: what the jail does from now on is not in the package.

    Recorded with unionfs, the jail is then as it was before, and the package alone has what was done.
    Exit status: 0 ended, 1 failed, 64 usage.
    """
    from reconciler.cli import recording

    return recording.stop(recording.Pool(specs, host, given.labels(label)), jail, restart=restart)


@VERB.command("discard")
def discard(
    jail: Jail,
    restart: Restart = False,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
) -> int:
    """Forget a recording and let go of its snapshots; the jail stays as it is.

    Recorded with unionfs, what was done lies in the upper folder, and is gone with it.
    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import recording

    return recording.discard(recording.Pool(specs, host, given.labels(label)), jail, restart=restart)
