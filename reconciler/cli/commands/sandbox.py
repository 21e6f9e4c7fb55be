"""`reconcile sandbox`: power and command lines of a simulated host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.hosts.sandbox.machine import Machine
    from reconciler.model.command import Completed

COMMAND = typer.Typer(help="Look after a simulated host, given as --host sandbox:DIR.", no_args_is_help=True)


@COMMAND.command()
def shims(
    directory: Annotated[Path, typer.Argument(help="The folder to write the programs into.")],
    host: given.HostURL = "",
) -> int:
    """Write a program for each of the host's commands (zfs, jail, jls ...), for PATH of your own shell.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.hosts.sandbox.shims import write_shims

    machine = _machine(host)
    names = write_shims(directory, machine.directory)
    print(f"{len(names)} programs are in {directory}. Use them: PATH={directory.resolve()}:$PATH")
    return 0


@COMMAND.command()
def boot(host: given.HostURL = "") -> int:
    """Cut the power and boot: what ran is lost, then the enabled rc scripts start in their order.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.hosts.sandbox import rc

    return _said(rc.boot(_machine(host)), "booted")


@COMMAND.command()
def shutdown(host: given.HostURL = "") -> int:
    """Shut down: rc scripts that ask for it stop in reverse order, then every process ends.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.hosts.sandbox import rc

    return _said(rc.shutdown(_machine(host)), "shut down")


@COMMAND.command()
def reboot(host: given.HostURL = "") -> int:
    """Shut down in order, and boot.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.hosts.sandbox import rc

    machine = _machine(host)
    return max(_said(rc.shutdown(machine), "shut down"), _said(rc.boot(machine), "booted"))


def _machine(host: str) -> Machine:
    """The machine of a sandbox's URL. Raises SpecError (`not-a-sandbox`) for any other host."""
    from reconciler.cli.session import host_url
    from reconciler.hosts.sandbox.machine import Machine
    from reconciler.model.diagnostic import Diagnostic, SpecError

    url = host_url(host)
    scheme, _, directory = url.partition(":")
    if scheme != "sandbox" or not directory:
        detail = f"{url} is a real host; this command is for simulated ones."
        raise SpecError(Diagnostic("not-a-sandbox", "The host is no sandbox", detail, "Give --host sandbox:DIR."))
    return Machine(Path(directory).expanduser())


def _said(done: list[Completed], what: str) -> int:
    from reconciler.cli.show import visible

    failed = 0
    for completed in done:
        for line in (completed.stdout + completed.stderr).decode("utf-8", "replace").splitlines():
            print(visible(line))
        if completed.status:
            failed = 1
            print(f"{visible(' '.join(completed.argv))} ended with status {completed.status}")
    print(f"The host has {what}.")
    return failed
