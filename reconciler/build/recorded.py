"""Recordings: two snapshots of a jail's root, from which a package is made. All that is known of one lies on them.

`@recording` is taken when it starts and `@recorded` when it stops; each says when in `reconciler:recording`, and is
held. The first also says which upper folder a recording with unionfs has: `TIME unionfs:FOLDER`. The name is the same
for every recording, so that a root has one at most. What reads them makes clones below `layers/`, which
`reconcile gc` knows as unfinished work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.build.reading import abandon
from reconciler.kind import Seen
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import DatasetRow

STARTED, STOPPED, HERE = "recording", "recorded", "importing"
MARK = "reconciler:recording"
HOLD = "reconciler"
UPPER = " unionfs:"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of the root `dataset`; times as they were said, `stopped` "" while it goes on.

    `upper` is the folder of the host that a recording with unionfs writes to, "" for one by snapshots alone.
    """

    jail: str
    dataset: str
    started: str
    stopped: str = ""
    upper: str = ""

    @property
    def first(self) -> str:
        """The snapshot of its start."""
        return f"{self.dataset}@{STARTED}"

    @property
    def last(self) -> str:
        """The snapshot of its end."""
        return f"{self.dataset}@{STOPPED}"


@dataclass(frozen=True, slots=True)
class Base:
    """The release that a root comes from: its sealed snapshot, its name and its patch level.

    `copied`: the root is a whole copy, which says so itself; zfs knows of no line between them.
    """

    snapshot: str
    release: str
    level: int
    copied: bool = False


def recordings(rows: Mapping[str, DatasetRow]) -> dict[str, Recording]:
    """Every recording by its jail; `rows` are ours, by their path below the pool."""
    found: dict[str, Recording] = {}
    for path, row in rows.items():
        root, _, snapshot = path.partition("@")
        if snapshot == STARTED and root.startswith("jails/") and row.user.get("recording"):
            stopped = rows.get(f"{root}@{STOPPED}")
            end = stopped.user.get("recording", "") if stopped is not None else ""
            jail = root.split("/")[1]
            when, _, upper = row.user["recording"].partition(UPPER)
            found[jail] = Recording(jail, row.name.partition("@")[0], when, end, upper)
    return found


def mark(site: Site, snapshot: str, when: str) -> None:
    """Take a snapshot that says what it is, and hold it; one that is there stays as it is."""
    rows = site.observe("datasets", roots=(snapshot.partition("@")[0],)).datasets
    if all(row.name != snapshot for row in rows):
        site.host.datasets.snapshot([snapshot], {MARK: when})
    hold(site, snapshot)


def hold(site: Site, snapshot: str) -> None:
    """Hold it; a hold of ours that is there already does as well, as when the run before was killed."""
    try:
        site.host.datasets.hold(HOLD, snapshot)
    except HostError as error:
        if "tag already exists" not in error.stderr:
            raise


def drop(site: Site, snapshots: Sequence[str]) -> None:
    """Let these snapshots go, those that are there, in this order."""
    datasets = {snapshot.partition("@")[0] for snapshot in snapshots}
    there = {row.name for row in site.observe("datasets", roots=sorted(datasets)).datasets}
    for snapshot in snapshots:
        if snapshot in there:
            abandon(site, snapshot)
            try:
                site.host.datasets.release(HOLD, snapshot)
            except HostError as error:  # a kill between snapshot and hold leaves it without
                if "no such tag" not in error.stderr:
                    raise
            site.host.datasets.destroy(snapshot)


def base(seen: Seen, dataset: str) -> Base:
    """The release that a root comes from, or that it says it was copied from.

    Raises HostError (code `recording-no-line`).
    """
    by_name = {row.name: row for row in seen.observed.datasets}
    sealed = by_name.get(f"{dataset}@sealed")
    if sealed is not None and sealed.user.get("release") and sealed.user.get("patch_level", "").isdigit():
        copied = f"{sealed.user['release']}-p{sealed.user['patch_level']}"
        snapshot = f"{seen.place.dataset(f'releases/{copied}')}@sealed"
        return Base(snapshot, sealed.user["release"], int(sealed.user["patch_level"]), copied=True)
    name = dataset
    while (row := by_name.get(name)) is not None and row.origin:
        name = row.origin.partition("@")[0]
        path = seen.place.path(name) or ""
        if path.startswith("releases/"):
            release, _, level = path.removeprefix("releases/").rpartition("-p")
            if release and level.isdigit():
                return Base(row.origin, release, int(level))
    detail = f"{dataset} is no clone of a release of this pool, nor of a layer that is."
    hint = f"zfs get -r origin {dataset}"
    raise HostError(Diagnostic("recording-no-line", "A root does not stand on its base", detail, hint))


def check_release(rows: Sequence[DatasetRow], base: Base, dataset: str) -> None:
    """Refuse to compare a whole copy with a release that the pool has not. Raises HostError (`recording-no-line`)."""
    if all(row.name != base.snapshot for row in rows):
        detail = f"{dataset} is a whole copy, and {base.release}-p{base.level}, which it is at, is not in this pool."
        hint = "Have a jail or a Release of that release and patch level applied, or record: package record start."
        raise HostError(Diagnostic("recording-no-line", "A root does not stand on its base", detail, hint))


def tip(seen: Seen, dataset: str) -> str:
    """What a root was made from, as manifests call it: `layer/DIGEST` or `release/NAME-pN`.

    Raises HostError (code `recording-no-line`).
    """
    row = next((row for row in seen.observed.datasets if row.name == dataset), None)
    path = (seen.place.path(row.origin.partition("@")[0]) or "") if row is not None else ""
    if row is not None and path.startswith("layers/"):
        return f"layer/{row.origin.partition('@')[2]}"
    found = base(seen, dataset)
    return f"release/{found.release}-p{found.level}"
