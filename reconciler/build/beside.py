"""The jails that a segment names and that were built for it, each over a clone of its last layer, while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from reconciler.build.layers import located
from reconciler.build.workspace import Workspace
from reconciler.kind import make_dataset
from reconciler.model.action import Site


@contextmanager
def beside(site: Site, room: Workspace, others: Sequence[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """The host's names of these jails, by the Makejail's; they have no network, and what changes in them is lost.

    `others` are names and digests of layers. Raises HostError, code `layer-missing` among others.
    """
    with ExitStack() as stack:
        found: dict[str, str] = {}
        for number, (name, digest) in enumerate(others):
            row = located(site, site.observe("datasets", roots=(f"{site.pool}/layers",)).datasets, digest)
            other = Workspace(site, f"{site.pool}/layers/beside-{room.mark}-{number}")
            other.clear()
            other.discard_unfinished()
            stack.callback(_end, other)
            make_dataset(site, other.dataset, {"mountpoint": "legacy", "canmount": "noauto"}, origin=row.name)
            other.mount()
            other.start(network=False, hostname=name)
            found[name] = other.jail
        yield found


def _end(other: Workspace) -> None:
    other.clear()
    other.discard_unfinished()
