"""rctl(8): argument vectors, the parser, and the Limits facet."""

from __future__ import annotations

from reconciler.hosts.freebsd.failure import failed, lines, run, text
from reconciler.model.command import Command, Completed, Runner


def listing() -> tuple[str, ...]:
    """List all rules, amounts in bytes."""
    return ("rctl",)


def parse_listing(completed: Completed) -> frozenset[str]:
    """The rules as printed; none where resource accounting is off (a fact of the host, no error)."""
    if completed.status == 0:
        return frozenset(lines(completed.stdout))
    if completed.status == 127 or "RACCT/RCTL" in text(completed.stderr):
        return frozenset()
    raise failed(completed)


class HostLimits:
    """The Limits facet. Rules are keyed by the jail's name and outlive the jail."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def add(self, rule: str) -> None:
        """Add a rule, `jail:NAME:resource:action=amount[/per]`."""
        run(self._runner, Command(("rctl", "-a", rule)), "limit-failed", "A resource limit was refused")

    def remove(self, rule: str) -> None:
        """Remove the rules that match; HostError when none does."""
        run(self._runner, Command(("rctl", "-r", rule)), "limit-failed", "A resource limit was refused")
