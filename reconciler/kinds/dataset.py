"""The datasets that hold everything else: the pool's own, one per jail, containers. Never a root or a volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen, claim_dataset, make_dataset
from reconciler.model.action import Action, Phase, Site
from reconciler.model.value import Ref, Resource

# Containers whose children carry mountpoints of their own; nothing is ever mounted at them.
CONTAINERS = ("releases", "layers", "volumes")
MOUNTED = ("jails", "state")
PER_JAIL = ("jails", "state", "volumes")


@dataclass(frozen=True, slots=True)
class Dataset(Resource):
    """A dataset by its path below the pool. `claimed`: marked by guid; `pruned`: date it was let go, or ""."""

    kind: ClassVar[str] = "dataset"
    dataset: str = field(default="", compare=False)
    mountpoint: str = ""
    jail: str = ""
    claimed: bool = True
    pruned: str = ""

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
        return {"mountpoint": self.mountpoint, **({"pruned": self.pruned} if self.pruned else {})}


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
        make_dataset(site, wanted.dataset, properties, claim=False)
        if wanted.name == "pool":
            site.host.files.chmod(wanted.mountpoint, 0o700)
        claim_dataset(site, wanted.dataset)


@dataclass(frozen=True, slots=True)
class SetDataset(Action):
    """Correct the mark, the mountpoint, or take back a pruning."""

    def title(self) -> str:
        """A verb and its object."""
        before = self.before
        if isinstance(before, Dataset) and before.pruned:
            return f"bring back {self.subject.name}, pruned on {before.pruned}"
        return f"correct dataset {self.subject.name}"

    def apply(self, site: Site) -> None:
        """Set what differs."""
        before, after = self.before, self.after
        assert isinstance(before, Dataset) and isinstance(after, Dataset)
        if before.mountpoint != after.mountpoint:
            site.host.datasets.set(after.dataset, {"mountpoint": after.mountpoint or "none"})
        if before.pruned:
            site.host.datasets.unset(after.dataset, "reconciler:pruned")
        if after.name == "pool":
            site.host.files.chmod(after.mountpoint, 0o700)
        if not before.claimed:
            claim_dataset(site, after.dataset)


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
    yield Dataset("pool", place.pool, place.mountpoint)
    for name in CONTAINERS:
        yield Dataset(name, place.dataset(name), "")
    for name in MOUNTED:
        yield Dataset(name, place.dataset(name), place.folder(name))
    for jail in desired.specs.jails:
        for name in PER_JAIL:
            mountpoint = "" if name in CONTAINERS else place.folder(f"{name}/{jail}")
            yield Dataset(f"{name}/{jail}", place.dataset(f"{name}/{jail}"), mountpoint, jail)


def have(seen: Seen) -> Iterable[Dataset]:
    """Those of ours at the first and second level."""
    for path, row in seen.rows.items():
        if "@" in path or path.startswith("//"):
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
        )


def steps(before: Dataset | None, after: Dataset | None) -> Iterable[Action]:
    """Create, correct, or mark; only `jails/NAME` is marked, the rest of a jail stays as it is."""
    if before is None:
        yield CreateDataset(before, after)
    elif after is not None:
        yield SetDataset(before, after)
    elif before.jail and before.name.startswith("jails/") and not before.pruned:
        yield PruneDataset(before, after)


def narrow(resource: Dataset, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Itself only matters, but a listing is recursive: the driver lists from here."""
    return ((resource.dataset,), ())


KIND = Kind(Dataset, want, have, steps, frozenset({"datasets"}), narrow)
