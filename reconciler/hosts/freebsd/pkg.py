"""pkg(8): the host's own, working inside a running jail."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.command import Command, Completed, Output, Runner

INSTALL_TIMEOUT = 6 * 3600.0
"""Seconds that installing packages may take."""


def install(jail: str, names: Sequence[str]) -> tuple[str, ...]:
    """Install packages into a jail, asking nothing; names are operands, whatever they begin with."""
    return ("pkg", "-j", jail, "install", "-y", "--", *names)


class HostPackages:
    """The Packages facet."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def install(self, jail: str, names: Sequence[str], *, output: Output | None = None) -> Completed:
        """Install packages and return how pkg ended, whatever its status."""
        return self._runner.run(Command(install(jail, names), timeout=INSTALL_TIMEOUT, output=output))
