"""freebsd-update(8): argument vectors, and the facet that runs them.

`-b`, `-d` and `-f` are always given: without them it works on the host itself, in the host's own folder, by the
host's own configuration. `--currently-running` is what 15.1 insists on for any other base than `/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.freebsd.failure import there
from reconciler.model.command import Command, Completed, Output, Runner

FETCH_TIMEOUT = 6 * 3600.0
"""Seconds that fetching patches may take."""
# Whatever it lists goes through a pager, which would wait for a key.
ENVIRONMENT = (("PAGER", "cat"),)


def words(base: str, work: str, config: str, release: str) -> tuple[str, ...]:
    """The part that every call has. `release` is what the tree holds, such as 15.1-RELEASE-p1."""
    return (
        "freebsd-update", "-b", base, "-d", work, "-f", config,
        "--currently-running", release, "--not-running-from-cron",
    )  # fmt: skip


def fetch(base: str, work: str, config: str, release: str) -> tuple[str, ...]:
    """Fetch what the newest patch level changes in the tree `base`."""
    return (*words(base, work, config, release), "fetch")


def ready(base: str, work: str, config: str, release: str) -> tuple[str, ...]:
    """Ask whether something was fetched that is not installed: 0 yes, 2 no."""
    return (*words(base, work, config, release), "updatesready")


class HostPatches:
    """The Patches facet. Every method raises HostError when a command cannot run; its status is the caller's."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def fetch(self, base: str, work: str, config: str, release: str, *, output: Output | None = None) -> Completed:
        """Run `freebsd-update fetch` on the host and return how it ended."""
        return self._run(fetch(base, work, config, release), output)

    def ready(self, base: str, work: str, config: str, release: str) -> Completed:
        """Run `freebsd-update updatesready` on the host and return how it ended."""
        return self._run(ready(base, work, config, release), None)

    def _run(self, argv: Sequence[str], output: Output | None) -> Completed:
        return there(self._runner.run(Command(tuple(argv), timeout=FETCH_TIMEOUT, env=ENVIRONMENT, output=output)))
