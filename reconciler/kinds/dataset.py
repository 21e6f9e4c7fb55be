"""The datasets that hold everything else: the pool's own, one per jail, containers. Never a root or a volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen, claim_dataset, make_dataset
from reconciler.model.action import Action, Phase, Site
from reconciler.model.ports import DatasetRow
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource
from reconciler.spec.select import Selected

# Containers whose children carry mountpoints of their own; nothing is ever mounted at them.
CONTAINERS = ("releases", "layers", "volumes")
MOUNTED = ("jails", "state")
PER_JAIL = ("jails", "state", "volumes")
PROTECT = "reconciler:protect"
_OWN = {"exec": "on", "setuid": "on", "readonly": "off"}
"""What everything below inherits: a root that may run nothing, because the pool was set so, starts no jail."""


@quick
@dataclass(frozen=True, slots=True)
class Dataset(Resource):
    """A dataset by its path below the pool, or `//` and its whole name on another pool.

    `claimed`: marked by guid; `pruned`: date it was let go, or ""; `mounted`: whether it is, and may be;
    `moving`: the whole name that it is to have instead.
    """

    kind: ClassVar[str] = "dataset"
    dataset: str = field(default="", compare=False)
    mountpoint: str = ""
    jail: str = ""
    claimed: bool = True
    pruned: str = ""
    mounted: bool = False
    protect: bool = False
    moving: str = ""

    @property
    def scope(self) -> str:
        """The jail whose dataset it is."""
        return self.jail

    def needs(self) -> frozenset[Ref]:
        """Its parent."""
        if self.name == "pool":
            return frozenset()
        parent = self.name.rpartition("/")[0] or "pool"
        return frozenset({Ref("dataset", parent)})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        shown = {"mountpoint": self.mountpoint, "mounted": "yes" if self.mounted else "no"}
        shown |= {"pruned": self.pruned} if self.pruned else {}
        return shown | ({"protect": "on"} if self.protect else {})


@dataclass(frozen=True, slots=True)
class CreateDataset(Action):
    """zfs create, then the mark."""

    def title(self) -> str:
        """A verb and its object."""
        return f"create dataset {self.subject.name}"

    def apply(self, site: Site) -> None:
        """Create it; the pool's own is closed to everybody but root."""
        wanted = self.subject
        assert isinstance(wanted, Dataset)
        properties = {"mountpoint": wanted.mountpoint or "none"}
        if not wanted.mountpoint:
            properties["canmount"] = "off"
        if wanted.name == "pool":
            properties |= _OWN
        if wanted.protect:
            properties[PROTECT] = "on"
        make_dataset(site, wanted.dataset, properties, claim=False)
        if wanted.name == "pool":
            site.host.files.chmod(wanted.mountpoint, 0o700)
        claim_dataset(site, wanted.dataset)


@dataclass(frozen=True, slots=True)
class SetDataset(Action):
    """Correct the mark, the mountpoint, whether it is mounted, its protection; or take back a pruning."""

    def title(self) -> str:
        """A verb and its object."""
        before = self.before
        if isinstance(before, Dataset) and before.pruned:
            return f"bring back {self.subject.name}, pruned on {before.pruned}"
        after = self.after
        assert isinstance(before, Dataset) and isinstance(after, Dataset)
        if replace(before, protect=after.protect) == after:
            return f"{'protect' if after.protect else 'no longer protect'} {after.name}"
        if replace(before, mounted=True) == after:
            return f"mount dataset {after.name}"
        return f"correct dataset {self.subject.name}"

    def apply(self, site: Site) -> None:
        """Set what differs."""
        before, after = self.before, self.after
        assert isinstance(before, Dataset) and isinstance(after, Dataset)
        if (before.mountpoint, before.mounted) != (after.mountpoint, after.mounted):
            self._mount(site, after)
        if before.pruned:
            site.host.datasets.unset(after.dataset, "reconciler:pruned")
        if before.protect and not after.protect:
            site.host.datasets.unset(after.dataset, PROTECT)
        elif after.protect and not before.protect:
            site.host.datasets.set(after.dataset, {PROTECT: "on"})
        if after.name == "pool":
            site.host.files.chmod(after.mountpoint, 0o700)
        if not before.claimed:
            claim_dataset(site, after.dataset)

    @staticmethod
    def _mount(site: Site, after: Dataset) -> None:
        canmount = "on" if after.mountpoint else "off"
        properties = {"canmount": canmount, "mountpoint": after.mountpoint or "none"}
        # What is mounted where it belongs stays so, for others are mounted below it.
        site.host.datasets.set(after.dataset, properties, remount=False)
        targets = [m.target for m in site.observe("mounts").mounts if m.source == after.dataset]
        if after.mounted and after.mountpoint in targets:
            return
        for target in targets:
            site.host.mounts.unmount(target)
        if after.mounted:
            site.host.datasets.mount(after.dataset)


@dataclass(frozen=True, slots=True)
class RenameDataset(Action):
    """zfs rename of what belongs to a jail that has another name now, with all that lies below it."""

    to: str = field(kw_only=True)

    @property
    def phase(self) -> Phase:
        """After the jail of the former name has stopped."""
        return Phase.CLEAR

    @property
    def renames(self) -> bool:
        """It does."""
        return True

    def title(self) -> str:
        """A verb and its object."""
        old, new = self._names()
        return f"rename {self.subject.name.rpartition('/')[0]}/{old} to {new}"

    def _names(self) -> tuple[str, str]:
        subject = self.subject
        assert isinstance(subject, Dataset)
        return subject.dataset.rpartition("/")[2], self.to.rpartition("/")[2]

    def apply(self, site: Site) -> None:
        """The files in it that name the root follow; what no longer holds under the new name is not recorded."""
        subject = self.subject
        assert isinstance(subject, Dataset)
        old, new = self._names()
        if not subject.claimed:
            claim_dataset(site, subject.dataset)
        if subject.name == f"state/{old}":
            _follow(site, f"{subject.mountpoint}/keep.last", old, new)
        if subject.name == f"jails/{old}":
            site.host.datasets.unset(subject.dataset, "reconciler:good")
        site.host.datasets.rename(subject.dataset, self.to)
        if subject.mountpoint:
            mountpoint = f"{subject.mountpoint.rpartition('/')[0]}/{new}"
            site.host.datasets.set(self.to, {"mountpoint": mountpoint})
            site.host.files.rmdir(subject.mountpoint)  # zfs leaves a place that was set by hand
            if subject.name == f"jails/{old}":
                _follow(site, f"{mountpoint}/fstab", old, new)


def _follow(site: Site, path: str, old: str, new: str) -> None:
    """Put the new name of the roots into a file of ours, whole or not at all."""
    data = site.host.files.read(path)
    if data is not None:
        was, now = (f"{site.pool}/jails/{name}/".encode() for name in (old, new))
        site.host.files.write(path, data.replace(was, now))


def jail_of(path: str) -> str:
    """The jail whose dataset this is, on any pool; "" for what is no jail's."""
    if path.startswith("//"):
        return path.partition("/volumes/")[2].partition("/")[0].partition("@")[0]
    kind, _, rest = path.partition("/")
    return rest.partition("/")[0].partition("@")[0] if kind in PER_JAIL else ""


def renames(specs: Selected, seen: Seen) -> dict[str, dict[str, str]]:
    """The datasets of former names, by jail: whole name, and the one that it should have and that is free."""
    former = {s.doc.renamed_from: name for name, s in specs.jails.items() if s.says("renamed_from")}
    found: dict[str, dict[str, str]] = {}
    if not former.keys() - specs.jails.keys():
        return found
    there = {row.name for row in seen.observed.datasets}
    for path, row in seen.rows.items():
        head, _, old = path.rpartition("/")
        if path.startswith("//") and not head.endswith("/volumes"):
            continue
        if old in former and old not in specs.jails and (head in PER_JAIL or path.startswith("//")):
            target = f"{row.name.rpartition('/')[0]}/{former[old]}"
            if target not in there:
                found.setdefault(former[old], {})[row.name] = target
    return found


@dataclass(frozen=True, slots=True)
class PruneDataset(Action):
    """Mark a jail's dataset as let go. Nothing is destroyed: `reconcile undelete` brings it back."""

    @property
    def phase(self) -> Phase:
        """After the jail has stopped."""
        return Phase.CLEAR

    def title(self) -> str:
        """A verb and its object."""
        return f"mark {self.subject.name} as pruned (kept; `reconcile undelete` brings it back)"

    def apply(self, site: Site) -> None:
        """Set the mark."""
        subject = self.subject
        assert isinstance(subject, Dataset)
        site.host.datasets.set(subject.dataset, {"reconciler:pruned": site.today})

    def done(self, now: Resource | None) -> bool:
        """Whether the mark is there."""
        return isinstance(now, Dataset) and bool(now.pruned)


def want(desired: Desired) -> Iterable[Dataset]:
    """The pool's own, the containers, and three for each jail."""
    place = desired.place
    yield Dataset("pool", place.pool, place.mountpoint, mounted=True)
    for name in CONTAINERS:
        yield Dataset(name, place.dataset(name), "")
    for name in MOUNTED:
        yield Dataset(name, place.dataset(name), place.folder(name), mounted=True)
    for jail, sourced in desired.specs.jails.items():
        for name in PER_JAIL:
            path, inside = f"{name}/{jail}", name in CONTAINERS
            yield Dataset(
                path,
                place.dataset(path),
                "" if inside else place.folder(path),
                jail,
                mounted=not inside,
                protect=sourced.doc.protect and name == "jails",
            )
    yield from _elsewhere(desired)
    if desired.renaming:
        targets = {old: new for pairs in desired.renaming.values() for old, new in pairs.items()}
        yield from (replace(d, moving=targets[d.dataset]) for d in have(desired.seen) if d.dataset in targets)


def _elsewhere(desired: Desired) -> Iterable[Dataset]:
    """What holds volumes on other pools. A pool's own dataset is left as it is when somebody else made it."""
    wanted: dict[str, Dataset] = {}
    if not any(v.pool for s in desired.specs.jails.values() for v in s.doc.volumes):
        return ()
    there = {row.name for row in desired.seen.observed.datasets}
    for jail, sourced in desired.specs.jails.items():
        for pool in sorted({v.pool for v in sourced.doc.volumes if v.pool and v.pool != desired.place.pool}):
            if pool not in there or f"//{pool}" in desired.seen.rows:
                wanted[pool] = Dataset(f"//{pool}", pool)
            wanted[f"{pool}/volumes"] = Dataset(f"//{pool}/volumes", f"{pool}/volumes")
            mine = f"{pool}/volumes/{jail}"
            wanted[mine] = Dataset(f"//{mine}", mine, jail=jail)
    return wanted.values()


def have(seen: Seen) -> Iterable[Dataset]:
    """Those of ours at the first and second level."""
    for path, row in seen.rows.items():
        if "@" in path:
            continue
        if path.startswith("//"):
            yield from _have_elsewhere(seen, row)
            continue
        parts = path.split("/") if path else []
        if len(parts) == 2 and parts[0] not in PER_JAIL:
            continue
        if len(parts) > 2 or (parts and parts[0] not in (*CONTAINERS, *MOUNTED)):
            continue
        mountpoint = row.mountpoint if row.mountpoint not in ("none", "legacy", "-") else ""
        yield Dataset(
            name=path or "pool",
            dataset=row.name,
            mountpoint=mountpoint,
            jail=parts[1] if len(parts) == 2 else "",
            claimed=seen.place.owner(row) == "ours",
            pruned=row.user.get("pruned", "") if len(parts) == 2 and parts[0] == "jails" else "",
            mounted=_settled(row),
            protect=len(parts) == 2 and parts[0] == "jails" and row.user.get("protect") == "on",
        )


def _settled(row: DatasetRow) -> bool:
    """Mounted, and so again after a boot; a container counts as mounted when anything could mount it."""
    if row.mountpoint in ("none", "legacy", "-", ""):
        return row.canmount == "on"
    return row.mounted and row.canmount == "on"


def _have_elsewhere(seen: Seen, row: DatasetRow) -> Iterable[Dataset]:
    for pool in seen.observed.pools:
        local = row.name[len(pool) :].split("/")
        if row.name != pool and not row.name.startswith(f"{pool}/volumes"):
            continue
        if len(local) <= 3 and local[1:2] in ([], ["volumes"]):
            yield Dataset(
                f"//{row.name}",
                row.name,
                row.mountpoint if row.mountpoint not in ("none", "legacy", "-") else "",
                local[2] if len(local) == 3 else "",
                seen.place.owner(row) == "ours",
                mounted=_settled(row),
            )
            return


def steps(before: Dataset | None, after: Dataset | None) -> Iterable[Action]:
    """Create, correct, or mark; only `jails/NAME` is marked, the rest of a jail stays as it is."""
    if before is None:
        yield CreateDataset(before, after)
    elif after is not None and after.moving:
        yield RenameDataset(before, None, to=after.moving, reason="its spec says so")
    elif after is not None:
        yield SetDataset(before, after)
    elif before.jail and before.name.startswith("jails/") and not before.pruned:
        yield PruneDataset(before, after)


def narrow(resource: Dataset, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Itself only matters, but a listing is recursive: the driver lists from here."""
    return ((resource.dataset,), ())


KIND = Kind(Dataset, want, have, steps, frozenset({"datasets"}), narrow)
