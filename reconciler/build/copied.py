"""A root that is a whole copy: of the tip of its chain, or of the stopped root that it follows."""

from __future__ import annotations

from reconciler.build.workspace import Workspace
from reconciler.kind import claim_dataset
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError

COPIED = "copied"
CARRY = "carry"


def discard_copied(site: Site, dataset: str) -> None:
    """Take away the snapshot that an interrupted copy came with, so that what is unfinished can go."""
    names = {row.name for row in site.observe("datasets", roots=(dataset,)).datasets}
    if f"{dataset}@{COPIED}" in names and f"{dataset}@sealed" not in names:
        site.host.datasets.destroy(f"{dataset}@{COPIED}")


def copy(site: Site, snapshot: str, dataset: str) -> None:
    """Make `dataset` a copy of `snapshot` that needs nothing of it, ours, and not mounted."""
    mark = {"reconciler:owner": f"{site.hostid}:new:{dataset}"}
    site.host.datasets.copy(snapshot, f"{dataset}@{COPIED}", {"mountpoint": "legacy", "canmount": "noauto", **mark})
    site.host.datasets.destroy(f"{dataset}@{COPIED}")
    claim_dataset(site, dataset)


def carry(site: Site, jail: str, live: str, dataset: str) -> None:
    """Copy the live root of a jail that does not run. Raises HostError (`in-place-running`) when it does."""
    if any(row.name == jail for row in site.observe("jails").jails):
        raise HostError(
            Diagnostic(
                "in-place-running",
                "A jail runs whose root was to be copied",
                f"{jail} was stopped for its update, and runs again: somebody started it.",
                "Run the command again; nothing was changed.",
            )
        )
    moment = f"{live}@{CARRY}"
    if any(row.name == moment for row in site.observe("datasets", roots=(live,)).datasets):
        site.host.datasets.destroy(moment)
    site.host.datasets.snapshot([moment], {})
    copy(site, moment, dataset)
    site.host.datasets.destroy(moment)


def check_folders(site: Site, room: Workspace, release: str) -> None:
    """Refuse a root in which a folder of the base system is a link.

    freebsd-update looks into the root from the host, and would follow it to the host's own files. Nothing runs over
    the root meanwhile, so what is looked at stays. Raises HostError (`in-place-link`).
    """
    with Workspace(site, f"{site.pool}/releases/{release}") as look:
        look.mount("ro")
        folders = frozenset(site.host.files.listed(look.path, "d"))
    if found := sorted(folders & frozenset(site.host.files.listed(room.path, "l"))):
        raise HostError(
            Diagnostic(
                "in-place-link",
                "A folder of the base system is a link",
                f"{room.dataset}: {', '.join(f'/{path}' for path in found[:5])} should be a folder.",
                "Make it a folder again inside the jail, or use update: {strategy: replace}.",
            )
        )
