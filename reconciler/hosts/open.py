"""From a host's URL to a Host: `freebsd:` (this machine), `ssh://[user@]host[:port]`, `sandbox:DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.model.command import Runner
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.model.ports import Host


def default_url() -> str:
    """The host that is meant when none is named: this machine on FreeBSD, else a sandbox of the user's."""
    if sys.platform.startswith("freebsd"):
        return "freebsd:"
    return f"sandbox:{Path.home() / '.local/share/reconciler/sandbox'}"


def identity(url: str) -> str:
    """The words under which a host is remembered: a sandbox's folder is absolute, wherever it was named from."""
    scheme, _, rest = url.partition(":")
    return f"sandbox:{Path(rest).expanduser().absolute()}" if scheme == "sandbox" and rest else url


def open_runner(url: str) -> Runner:
    """The runner that a URL names. Raises SpecError (code `host-url-invalid`)."""
    scheme, _, rest = url.partition(":")
    match scheme:
        case "freebsd" if not rest:
            return LocalRunner()
        case "ssh":
            from reconciler.hosts.freebsd.ssh import SSHRunner

            return SSHRunner.open(url)
        case "sandbox" if rest:
            return _sandbox(Path(rest).expanduser())
        case _:
            raise SpecError(
                Diagnostic(
                    "host-url-invalid",
                    "A host's address is not understood",
                    f"{url!r} names no kind of host.",
                    "Write freebsd: for this machine, ssh://[user@]host[:port], or sandbox:DIR.",
                )
            )


def _sandbox(directory: Path) -> Runner:
    """The server of a sandbox where one answers, else the simulation in this process."""
    if (directory / "socket").exists():
        from reconciler.hosts.sandbox.served import ServedRunner, live

        if live(directory):
            return ServedRunner(directory, start=False)
    from reconciler.hosts.sandbox.machine import Machine
    from reconciler.hosts.sandbox.runner import SandboxRunner

    return SandboxRunner(Machine(directory))


def open_host(url: str = "") -> Host:
    """The host that a URL names, or the default one. Raises SpecError (code `host-url-invalid`)."""
    url = url or default_url()
    return FreeBSDHost(open_runner(url), url)
