"""Durable data of a jail: one dataset each, mounted only through the jail's fstab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from reconciler.kind import ROOT, Desired, Kind, Place, Seen, attributes, claim_dataset, make_dataset
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Span
from reconciler.model.quick import quick
from reconciler.model.size import exact
from reconciler.model.value import Ref, Resource
from reconciler.spec.document import Volume as VolumeSpec

# What a spec may leave open: an absent field is not compared, so that an operator's own setting stays.
OPEN = ("recordsize", "compression")
# What is zero when the spec does not say, so that taking a quota out of a spec lifts it.
ZERO = ("quota", "reservation")
_SIZES = (*ZERO, "recordsize")


@quick
@dataclass(frozen=True, slots=True)
class Volume(Resource):
    """A volume by `JAIL/NAME`. `properties` are zfs values as `zfs list -p` prints them.

    `former` is what it is renamed from; that one is `moving`, and neither wanted nor let go.
    """

    kind: ClassVar[str] = "volume"
    durable: ClassVar[bool] = True
    dataset: str = ""
    jail: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    claimed: bool = True
    pruned: str = ""
    attributes: tuple[tuple[str, str], ...] = ROOT
    moving: bool = False
    former: Volume | None = field(default=None, compare=False)
    guid: str = field(default="", compare=False)
    parent: str = field(default="", compare=False)

    @property
    def scope(self) -> str:
        """The jail it belongs to."""
        return self.jail

    def needs(self) -> frozenset[Ref]:
        """The jail's container, here or on another pool."""
        return frozenset({Ref("dataset", f"//{self.parent}" if self.parent else f"volumes/{self.jail}")})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        properties = {k: exact(v) if k in _SIZES else v for k, v in self.properties}
        return {**properties, **dict(self.attributes)}


@dataclass(frozen=True, slots=True)
class CreateVolume(Action):
    """zfs create with mountpoint=legacy: only fstab mounts it."""

    def title(self) -> str:
        """A verb and its object."""
        return f"create volume {self.subject.name.partition('/')[2]}"

    def apply(self, site: Site) -> None:
        """Create it."""
        wanted = self.subject
        assert isinstance(wanted, Volume)
        make_dataset(site, wanted.dataset, {"mountpoint": "legacy", "canmount": "noauto", **dict(wanted.properties)})


@dataclass(frozen=True, slots=True)
class RenameVolume(Action):
    """zfs rename: its data, its snapshots and its guid stay."""

    former: Volume = field(kw_only=True)

    @property
    def phase(self) -> Phase:
        """When the jail has stopped."""
        return Phase.BUILD

    @property
    def renames(self) -> bool:
        """It does."""
        return True

    def title(self) -> str:
        """A verb and its object."""
        return f"rename volume {self.former.name.partition('/')[2]} to {self.subject.name.partition('/')[2]}"

    def apply(self, site: Site) -> None:
        """Claimed first: a mark that is not bound to the guid yet holds the name."""
        after = self.after
        assert isinstance(after, Volume)
        if not self.former.claimed:
            claim_dataset(site, self.former.dataset)
        site.host.datasets.rename(self.former.dataset, after.dataset)


@dataclass(frozen=True, slots=True)
class SetVolume(Action):
    """Correct properties, or take back a pruning; `late` after a renaming, for which the jail has to stop."""

    late: bool = field(default=False, kw_only=True)

    @property
    def phase(self) -> Phase:
        """Beside the running jail, unless it is late."""
        return Phase.BUILD if self.late else Phase.PREPARE

    def title(self) -> str:
        """A verb and its object."""
        return f"correct volume {self.subject.name.partition('/')[2]}"

    def apply(self, site: Site) -> None:
        """Set what differs."""
        before, after = self.before, self.after
        assert isinstance(before, Volume) and isinstance(after, Volume)
        if not before.claimed:
            claim_dataset(site, after.dataset)
        was = {**dict(before.properties), **dict(before.attributes)}
        changed = {k: v for k, v in (*after.properties, *after.attributes) if was.get(k) != v}
        place: dict[str, str] = {k: changed.pop(k) for k in ("canmount", "mountpoint") if k in changed}
        site.host.datasets.set(after.dataset, changed)
        # A mountpoint cannot be taken from what a running jail uses.
        site.host.datasets.set(after.dataset, place, remount=False)
        if before.pruned:
            site.host.datasets.unset(after.dataset, "reconciler:pruned")


@dataclass(frozen=True, slots=True)
class PruneVolume(Action):
    """Mark a volume as let go. It keeps its place and its data."""

    @property
    def phase(self) -> Phase:
        """After everything else."""
        return Phase.CLEAR

    def title(self) -> str:
        """A verb and its object."""
        return f"mark volume {self.subject.name} as pruned (its data stays)"

    def apply(self, site: Site) -> None:
        """Set the mark."""
        subject = self.subject
        assert isinstance(subject, Volume)
        site.host.datasets.set(subject.dataset, {"reconciler:pruned": site.today})

    def done(self, now: Resource | None) -> bool:
        """Whether the mark is there."""
        return isinstance(now, Volume) and bool(now.pruned)


def properties(spec: VolumeSpec) -> tuple[tuple[str, str], ...]:
    """The zfs properties a spec asks for, by name."""
    wanted = {"exec": "on" if spec.exec else "off", "setuid": "on" if spec.setuid else "off"}
    for name in (*OPEN, *ZERO):
        value = getattr(spec, name)
        if value is not None or name in ZERO:
            wanted[name] = str(value or 0)
    return tuple(sorted(wanted.items()))


def dataset_of(place: Place, jail: str, spec: VolumeSpec) -> str:
    """Whole dataset name of a volume; `pool` moves it below another parent."""
    return f"{spec.pool or place.pool}/volumes/{jail}/{spec.name}"


def want(desired: Desired) -> Iterable[Volume]:
    """Every volume of every jail."""
    asked = any(v.renamed_from for s in desired.specs.jails.values() for v in s.doc.volumes)
    here = {volume.name: volume for volume in have(desired.seen)} if asked or desired.renaming else {}
    for name, sourced in desired.specs.jails.items():
        for spec in sourced.doc.volumes:
            yield Volume(
                f"{name}/{spec.name}",
                dataset_of(desired.place, name, spec),
                name,
                properties(spec),
                parent=f"{spec.pool}/volumes/{name}" if spec.pool and spec.pool != desired.place.pool else "",
                former=(former := _former(name, spec, here)),
            )
            if former is not None:
                yield replace(former, moving=True)
    going = {s.doc.renamed_from for name, s in desired.specs.jails.items() if name in desired.renaming}
    yield from (replace(volume, moving=True) for volume in here.values() if volume.jail in going)


def _former(jail: str, spec: VolumeSpec, here: Mapping[str, Volume]) -> Volume | None:
    """What a volume is renamed from: there, while the new name is not."""
    if not spec.renamed_from or f"{jail}/{spec.name}" in here:
        return None
    return here.get(f"{jail}/{spec.renamed_from}")


def have(seen: Seen) -> Iterable[Volume]:
    """Ours at `volumes/JAIL/NAME`, here and on other pools."""
    for path, row in seen.rows.items():
        if "@" in path:
            continue
        local = path[2:].partition("/volumes/")[2] if path.startswith("//") else path.removeprefix("volumes/")
        if (not path.startswith(("volumes/", "//"))) or local.count("/") != 1:
            continue
        jail = local.partition("/")[0]
        kept = {"exec": row.native.get("exec", "on"), "setuid": row.native.get("setuid", "on")}
        for name in (*OPEN, *ZERO):
            kept[name] = row.native.get(name, "-")
        yield Volume(
            local,
            row.name,
            jail,
            tuple(sorted(kept.items())),
            claimed=seen.place.owner(row) == "ours",
            pruned=row.user.get("pruned", ""),
            attributes=attributes(row),
            guid=row.guid,
        )


def align(before: Volume, after: Volume) -> Volume:
    """What was seen, without the properties that the spec leaves open."""
    asked = {k for k, _ in after.properties}
    properties = tuple(p for p in before.properties if p[0] in asked)
    # Not by `replace`, which takes five times as long: there are many.
    was = before
    state = (was.claimed, was.pruned, was.attributes, was.moving, was.former, was.guid, was.parent)
    return Volume(was.name, was.dataset, was.jail, properties, *state)


def steps(before: Volume | None, after: Volume | None) -> Iterable[Action]:
    """Create, correct, or mark. Never destroy: only `reconcile destroy` does."""
    if before is None and after is not None and after.former is not None:
        yield from _rename(after, after.former)
    elif before is None:
        yield CreateVolume(before, after)
    elif after is not None and after.moving:
        return
    elif after is not None:
        yield SetVolume(before, after)
    elif not before.pruned:
        yield PruneVolume(before, after)


def _rename(after: Volume, former: Volume) -> Iterable[Action]:
    renamed = replace(former, name=after.name, dataset=after.dataset, jail=after.jail, claimed=True)
    renamed = align(replace(renamed, parent=after.parent), after)
    yield RenameVolume(None, renamed, former=former, reason="its spec says so")
    if renamed != after:
        yield SetVolume(renamed, after, late=True)


def narrow(resource: Volume, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its own dataset."""
    return ((resource.dataset,), ())


def span(resource: Volume, desired: Desired) -> Span | None:
    """The volume's place in the spec."""
    sourced = desired.specs.jails.get(resource.jail)
    if sourced is None:
        return None
    for index, spec in enumerate(sourced.doc.volumes):
        if spec.name == resource.name.partition("/")[2]:
            return sourced.place(("volumes", index))
    return None


KIND = Kind(Volume, want, have, steps, frozenset({"datasets"}), narrow, drift="volumes", span=span, align=align)
