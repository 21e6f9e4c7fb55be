"""The folder where things are built: empty at rest. What an interrupted run left there goes before anything is built.

A run that was killed leaves its build jail, with the child that was at work in it, and the mounts below it. They are
no part of what the next run builds, which may begin elsewhere: so they are looked for, not remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from reconciler.build import vnet
from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.model.action import Action, Site
from reconciler.model.value import Ref, Resource

NAME = "build"
REF = Ref("workplace", NAME)


@dataclass(frozen=True, slots=True)
class Workplace(Resource):
    """What is there: build jails, mounts (outermost first), and datasets of layers that were not closed.

    `interfaces` are epairs and bridges, `anchors` those of pf, which were made for the network of builds.
    """

    kind: ClassVar[str] = "workplace"
    jails: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """No jail's."""
        return ""

    def needs(self) -> frozenset[Ref]:
        """Nothing: it goes first."""
        return frozenset()

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        shown = {"jails": self.jails, "mounts": self.mounts, "unfinished": self.open}
        shown |= {"interfaces": self.interfaces, "pf anchors": self.anchors}
        return {name: ", ".join(found) for name, found in shown.items() if found}


@dataclass(frozen=True, slots=True)
class ClearWorkplace(Action):
    """Remove the build jails, unmount, and close what was left open."""

    def title(self) -> str:
        """A verb and its object."""
        return "clear away what an interrupted run left"

    def apply(self, site: Site) -> None:
        """Jails first, so that nothing of the killed run writes any more; then mounts, innermost first."""
        left = self.before
        assert isinstance(left, Workplace)
        for jail in left.jails:
            site.host.jails.remove(jail)
        if left.interfaces or left.anchors:
            vnet.unplug(site, f"{site.mountpoint}/{NAME}")
        seen = have_of(site.mountpoint, [m.target for m in site.observe("mounts").mounts])
        for target in reversed(seen):
            site.host.mounts.unmount(target)
        for target in left.mounts:
            mark = target.removeprefix(f"{site.mountpoint}/{NAME}/").partition("/")[0]
            site.host.files.clear(f"{site.mountpoint}/{NAME}/{mark}.work")
        for dataset in left.open:
            site.host.datasets.set(dataset, {"readonly": "on"})


def have_of(mountpoint: str, targets: Iterable[str]) -> tuple[str, ...]:
    """The mounts below the folder, outermost first."""
    return tuple(sorted(target for target in targets if target.startswith(f"{mountpoint}/{NAME}/")))


def want(_desired: Desired) -> Iterable[Workplace]:
    """Empty."""
    yield Workplace(NAME)


def have(seen: Seen) -> Iterable[Workplace]:
    """Always one. A layer's dataset is closed by readonly=on, once its last snapshot is taken."""
    place = seen.place.folder(f"{NAME}/")
    jails = tuple(sorted(row.name for row in seen.observed.jails if row.path.startswith(place) and not row.dying))
    finished = {path.partition("@")[0] for path in seen.rows if path.startswith("layers/") and "@" in path}
    rows = (seen.rows[path] for path in sorted(finished))
    mounts = have_of(seen.place.mountpoint, (row.target for row in seen.observed.mounts))
    unfinished = tuple(row.name for row in rows if not row.readonly)
    pairs, bridges = vnet.left(seen.observed.interfaces, seen.place.folder(NAME), seen.place.mountpoint)
    own = vnet.anchor_of(seen.place.pool)
    anchors = tuple(sorted(one for one in seen.observed.firewall if one.startswith(own)))
    yield Workplace(NAME, jails, mounts, unfinished, (*pairs, *bridges), anchors)


def steps(before: Workplace | None, after: Workplace | None) -> Iterable[Action]:
    """Clear it."""
    if before is not None and after is not None:
        yield ClearWorkplace(before, after)


def narrow(_resource: Workplace, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Everything: it lies nowhere else, and is looked at only when there is something to clear."""
    return ((), ())


KIND = Kind(Workplace, want, have, steps, frozenset({"jails", "mounts", "datasets", "interfaces", "firewall"}), narrow)
