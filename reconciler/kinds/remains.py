"""What a jail that does not run left on its host: mounts, the end of its epair, limits, its pf anchor, a helper.

A stop that ends whole leaves none of it. One that was cut off does, as does a jail that somebody removed
without its configuration. What will be started next is cleared by its own hooks as well, but one that stays
stopped, or that no spec names any more, has nobody else to clear up after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from reconciler.build.unmount import PAUSE, TRIES, unmount_all
from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.model.action import Action, Phase, Site
from reconciler.model.ports import InterfaceRow
from reconciler.model.value import Resource
from reconciler.runtime import HELPER, SCRATCH

OURS = "reconciler: "  # and the jail's name: how the start hook describes the host's end of its epair


@dataclass(frozen=True, slots=True)
class Remains(Resource):
    """What is left of a jail that does not run. Wanted of none."""

    kind: ClassVar[str] = "remains"
    helpers: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """The jail."""
        return self.name

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        words = ("helpers", "mounts", "interfaces", "limits", "anchors")
        return {word: " ".join(getattr(self, word)) for word in words if getattr(self, word)}


@dataclass(frozen=True, slots=True)
class ClearRemains(Action):
    """Take it away, innermost mounts first. What is in use meanwhile is an error, and stays."""

    @property
    def phase(self) -> Phase:
        """Before anything is built up."""
        return Phase.TEARDOWN

    def title(self) -> str:
        """A verb and its object."""
        return "clear what is left of a stop that was cut off"

    def apply(self, site: Site) -> None:
        """Look again, for a child of a killed run may have gone on."""
        jail = self.subject.name
        left = _left(Seen.of(_place(site), site.observe(*KIND.facets, roots=_roots(site, jail))), jail)
        if left is None:
            return
        for anchor in left.anchors:
            site.host.network.flush_anchor(anchor)
        for rule in left.limits:
            site.host.limits.remove(rule)
        for helper in left.helpers:
            _end(site, helper)
        unmount_all(site, left.mounts)
        for interface in left.interfaces:
            site.host.network.destroy(interface)


def _end(site: Site, helper: str) -> None:
    """jail(8) that is killed leaves its jail persistent: it stays when its last process is gone.

    One that still saves something is waited for; when it takes too long, what it uses stays mounted.
    """
    for _ in range(TRIES):
        if all(row.name != helper for row in site.observe("jails").jails):
            return
        if not site.host.jails.processes(helper):
            site.host.jails.remove(helper)
            return
        site.wait(PAUSE)


def _place(site: Site) -> Place:
    return Place(site.pool, site.mountpoint, site.hostid)


def _roots(site: Site, jail: str) -> tuple[str, ...]:
    return (f"{site.pool}/jails/{jail}",)


def _left(seen: Seen, jail: str) -> Remains | None:
    return next((remains for remains in have(seen) if remains.name == jail), None)


def want(_desired: Desired) -> Iterable[Remains]:
    """None."""
    return ()


def have(seen: Seen) -> Iterable[Remains]:
    """Of jails that are ours and do not run."""
    running = {row.name for row in seen.observed.jails}
    still = {p.removeprefix("jails/") for p in seen.rows if p.startswith("jails/") and p.count("/") == 1} - running
    found: dict[str, dict[str, list[str]]] = {}
    for jail, word, what in _traces(seen):
        if jail in still:
            found.setdefault(jail, {}).setdefault(word, []).append(what)
    return (Remains(jail, **{word: tuple(whats) for word, whats in words.items()}) for jail, words in found.items())


def _traces(seen: Seen) -> Iterable[tuple[str, str, str]]:
    """(jail, field, what) of everything that a start makes on the host."""
    live = seen.place.folder("live/")
    for jail in seen.observed.jails:
        if jail.name.startswith(HELPER) and jail.path.startswith(live):
            yield jail.name.removeprefix(HELPER), "helpers", jail.name
    for mount in seen.observed.mounts:
        if mount.target.startswith(live):
            yield mount.target[len(live) :].partition("/")[0].removeprefix(SCRATCH), "mounts", mount.target
    for row in seen.observed.interfaces:
        if _outer(row):
            yield row.description.removeprefix(OURS), "interfaces", row.name
    for rule in sorted(seen.observed.limits):
        words = rule.split(":", 2)
        if words[0] == "jail" and len(words) == 3:
            yield words[1], "limits", rule
    for anchor in sorted(seen.observed.firewall):
        yield anchor.removeprefix("reconciler/"), "anchors", anchor


def _outer(row: InterfaceRow) -> bool:
    """Whether a start hook made it for a jail; a bridge is described by its own name."""
    return row.description.startswith(OURS) and row.description != f"{OURS}{row.name}" and "bridge" not in row.groups


def steps(before: Remains | None, _after: Remains | None) -> Iterable[Action]:
    """Clear."""
    yield ClearRemains(before, None, reason="the jail does not run")


def narrow(resource: Remains, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its dataset, which says that the jail is ours."""
    return ((place.dataset(f"jails/{resource.name}"),), ())


KIND = Kind(
    Remains, want, have, steps, frozenset({"datasets", "jails", "mounts", "interfaces", "limits", "firewall"}), narrow
)
