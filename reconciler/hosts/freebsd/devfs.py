"""devfs(8): argument vectors, the parser, and the Devices facet."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.freebsd.failure import lines, run, unreadable
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.diagnostic import HostError


def listing() -> tuple[str, ...]:
    """List the numbers of rulesets that hold rules."""
    return ("devfs", "rule", "showsets")


def parse_listing(completed: Completed) -> frozenset[int]:
    """The numbers of rulesets."""
    try:
        return frozenset(int(line) for line in lines(completed.stdout))
    except ValueError as error:
        raise unreadable(completed, str(error)) from error


def delete(number: int) -> tuple[str, ...]:
    """Remove all rules of a ruleset; not an error where there are none."""
    return ("devfs", "rule", "-s", str(number), "delset")


def add(number: int) -> tuple[str, ...]:
    """Add the rules that stand on standard input, one a line, in order."""
    return ("devfs", "rule", "-s", str(number), "add", "-")


class HostDevices:
    """The Devices facet."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def load(self, number: int, rules: Sequence[str]) -> None:
        """Replace a ruleset; a rule that is refused leaves the ruleset empty.

        A ruleset that is only half there would show devices that a later rule was to hide.
        """
        self.delete(number)
        stdin = "".join(f"{rule}\n" for rule in rules).encode()
        try:
            run(self._runner, Command(add(number), stdin=stdin), "devices-failed", "A devfs rule was refused")
        except HostError:
            self._runner.run(Command(delete(number)))
            raise

    def delete(self, number: int) -> None:
        """Remove a ruleset."""
        run(self._runner, Command(delete(number)), "devices-failed", "A devfs rule was refused")
