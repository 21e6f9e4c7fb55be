"""What in the pool nothing needs any more: releases, layers, and what interrupted work left behind.

Needed is what a spec's chain names, and what any dataset was cloned from, whoever made it: the origins
are followed until nothing new is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.build.made import PROPERTY as MADE
from reconciler.kind import Seen
from reconciler.kinds import workplace as workplace_kind
from reconciler.kinds.layer import here, snapshots
from reconciler.kinds.workplace import Workplace
from reconciler.model.ports import DatasetRow, Request
from reconciler.packages.store import Store
from reconciler.reconcile import Session
from reconciler.spec.select import package_refs

HOLD = "reconciler"


@dataclass(frozen=True, slots=True)
class Garbage:
    """One dataset or snapshot that may go, with our snapshots on it. `size` in bytes is what ZFS says it uses."""

    name: str
    why: str
    size: int
    snapshots: tuple[str, ...] = ()


def garbage(run: Session) -> list[Garbage]:
    """Everything that may go, in the order in which it can."""
    seen = run.seen
    needed = _needed(run)
    found = [*_unfinished(seen), *_unneeded(seen, needed)]
    # A clone goes before what it was cloned from: the deepest chain of origins first.
    return sorted(found, key=lambda item: (-_depth(seen, item.name), item.name))


def _needed(run: Session) -> set[str]:
    """Snapshots (by whole name) that must stay."""
    rows = run.seen.observed.datasets
    chains = [allocation.chain for allocation in run.allocated.values()]
    digests = {layer.name for chain in chains for layer in chain.every}
    releases = {chain.release.name for chain in chains}
    needed = {layer.snapshot for name, layer in here(run.seen).items() if name in digests}
    needed |= {run.place.dataset(f"releases/{name}@sealed") for name in releases}
    by_name = {row.name: row for row in rows}
    kept = [row.name for row in rows if row.kind != "snapshot" and not _collectable(run.seen, row)]
    pending = [*kept, *(name.partition("@")[0] for name in needed)]
    known: set[str] = set()
    while pending:
        name = pending.pop()
        if name in known or name not in by_name:
            continue
        known.add(name)
        if origin := by_name[name].origin:
            needed.add(origin)
            pending.append(origin.partition("@")[0])
    return needed


def _collectable(seen: Seen, row: DatasetRow) -> bool:
    """A dataset of ours that is only there to be cloned."""
    path = seen.place.path(row.name) or ""
    return seen.place.owner(row) != "foreign" and path.count("/") == 1 and path.startswith(("releases/", "layers/"))


def _snapshots(seen: Seen, name: str) -> list[DatasetRow]:
    return [r for r in seen.observed.datasets if r.kind == "snapshot" and r.name.partition("@")[0] == name]


def _commits(row: DatasetRow) -> bool:
    """Whether a snapshot is one that completes a release, a layer or a root."""
    snapshot = row.name.rpartition("@")[2]
    return snapshot == "sealed" or snapshot == row.user.get("digest")


def _unneeded(seen: Seen, needed: set[str]) -> Iterator[Garbage]:
    for row in seen.observed.datasets:
        if row.kind == "snapshot" or not _collectable(seen, row):
            continue
        snapshots = _snapshots(seen, row.name)
        if not any(map(_commits, snapshots)) or not all(map(_commits, snapshots)):
            continue  # unfinished, or somebody else's snapshot stands on it
        if not any(snapshot.name in needed for snapshot in snapshots):
            what = "release" if "/releases/" in row.name else "layer"
            why = f"a {what} that no root, layer or spec needs"
            yield Garbage(row.name, why, row.used, tuple(snapshot.name for snapshot in snapshots))


def _unfinished(seen: Seen) -> Iterator[Garbage]:
    """Ours, without the snapshot that would complete it, and nothing of anybody's on it."""
    mounted = {mount.source for mount in seen.observed.mounts}
    for path, row in seen.rows.items():
        parts = path.split("/")
        root = len(parts) == 3 and parts[0] == "jails" and parts[2].isdigit()
        if "@" in path or row.name in mounted or not (root or _collectable(seen, row)):
            continue
        jail = seen.rows.get("/".join(parts[:2])) if root else None
        if jail is not None and jail.user.get("suspended"):
            continue  # who suspended it may be looking at this
        if not _snapshots(seen, row.name):
            yield Garbage(row.name, "unfinished: its making was interrupted", row.used)


def packages(run: Session) -> dict[str, str]:
    """Packages of the store that may go, by the SHA256 of their archives, with why.

    Needed is what a spec's digest, the lock or a FROM names, and what was made of a layer that is here. Who does not
    know all specs, as without any, lets nothing go that is whole.
    """
    store = Store(run.host, run.place.pool, run.place.mountpoint)
    row = run.seen.rows.get("")
    if row is None or not row.mounted:
        return {}
    going = dict.fromkeys(store.unfinished(), "unfinished: its keeping was interrupted")
    if run.may_prune():
        refs = [ref for jail in run.chosen.jails.values() for ref in package_refs(run.chosen, jail)]
        needed = {ref.digest for ref in refs} | {package.doc.digest for package in run.chosen.packages.values()}
        needed |= {f"sha256:{sha256}" for sha256 in run.lock.files.values()}
        needed |= {f"sha256:{pin.checksum}" for pins in run.lock.packages.values() for pin in pins.values()}
        images = (one.image for whole in run.compiled[0].values() for one in whole.every if one.image)
        needed |= {f"sha256:{archive.sha256}" for image in images for archive in image.archives.values()}
        needed |= {f"sha256:{row.user[MADE]}" for row in run.seen.rows.values() if row.user and MADE in row.user}
        for sha256, note in store.all().items():
            if f"sha256:{sha256}" not in needed:
                going[sha256] = f"{note.file}, which no spec names"
    return going


def workplace(run: Session) -> Workplace:
    """What builds left where they work: jails that were kept, or that a kill left."""
    return next(iter(workplace_kind.have(run.seen)))


def environments(run: Session, going: list[Garbage]) -> list[str]:
    """Paths of saved environments of layers that are not there, or are about to go."""
    gone = {snapshot for item in going for snapshot in item.snapshots}
    stay = {digest for digest, row in snapshots(run.seen.rows) if row.name not in gone}
    request = Request(run.place.pool, run.place.mountpoint, frozenset({"files"}), below=("env",))
    found = run.host.parse(request, run.host.observe(request)).files
    return sorted(run.place.folder(path) for path in found if path.removeprefix("env/") not in stay)


def _depth(seen: Seen, name: str) -> int:
    """How many clones lie between a dataset and one that is none."""
    by_name = {row.name: row for row in seen.observed.datasets}
    depth = 0
    while name in by_name and by_name[name].origin:
        name = by_name[name].origin.partition("@")[0]
        depth += 1
    return depth
