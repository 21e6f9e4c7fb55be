"""Unmount what was left, waiting a little for processes that are on their way out."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.action import Site
from reconciler.model.diagnostic import HostError

TRIES = 60
PAUSE = 0.5  # seconds; a killed process may take moments to let go, on a busy machine seconds


def unmount_all(site: Site, targets: Iterable[str]) -> None:
    """Innermost first. Raises HostError (code `mount-busy`) for what stays in use."""
    for target in sorted(targets, key=len, reverse=True):
        for left in range(TRIES - 1, -1, -1):
            try:
                site.host.mounts.unmount(target)
                break
            except HostError as error:
                if left == 0 or error.diagnostics[0].code != "mount-busy":
                    raise
                site.wait(PAUSE)
                if all(row.target != target for row in site.observe("mounts").mounts):
                    break
