"""A running jail. One that does not run is no resource: absence is `stopped`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import ClassVar

from reconciler.build.recorded import recordings
from reconciler.build.union import settle
from reconciler.build.unmount import unmount_all
from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.model.action import Action, Note, Phase, Site
from reconciler.model.diagnostic import Span
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource
from reconciler.runtime import OPERATOR, names

_LENT = re.compile(r'^ *vnet\.interface = "([^"\n]+)";$', re.MULTILINE)

# Addresses can be exchanged while the jail runs; taking the last one away is a restart.
ADDRESSES = ("ip4.addr", "ip6.addr")
# jail(8) refuses to change these on a running jail ("cannot be changed after creation").
FIXED = frozenset({"path", "vnet", "ip4", "ip6", "host", "osrelease", "osreldate", "sysvmsg", "sysvsem", "sysvshm"})
_OVERRULED = "it was stopped by the operator, and its spec has that corrected"


@quick
@dataclass(frozen=True, slots=True)
class Jail(Resource):
    """A running jail: the configuration it was started from, and the parameters that the kernel shows.

    `joined`: the host's end of its epair is there, or it needs none; only a start can make another.
    `marked`: an operator stopped it, and the spec has such a stop corrected: a start takes the mark away.
    `upper`: the folder that a recording lays over its root; a start goes without it where it is gone.
    """

    kind: ClassVar[str] = "jail"
    started: str = ""
    root: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    joined: bool = True
    depends: frozenset[str] = field(default=frozenset(), compare=False)
    marked: bool = field(default=False, compare=False)
    upper: str = field(default="", compare=False)

    @property
    def scope(self) -> str:
        """Itself."""
        return self.name

    def needs(self) -> frozenset[Ref]:
        """Its files, and the jails it depends on."""
        return frozenset({Ref("config", self.name), *(Ref("jail", d) for d in self.depends)})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {**dict(self.parameters), "configuration": self.started[:12], "root": self.root.rpartition("/")[2]}


@dataclass(frozen=True, slots=True)
class StartJail(Action):
    """jail -c with its own jail.conf."""

    @property
    def phase(self) -> Phase:
        """When everything of its own is in place."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        return "start jail"

    def apply(self, site: Site) -> None:
        """Clear away what an interrupted start left, then start."""
        jail = self.subject
        folder = f"{site.mountpoint}/jails/{jail.name}"
        sweep(site, jail.name)
        if isinstance(jail, Jail) and jail.marked:
            # Before the start: a mark that outlived it would have the next boot leave the jail stopped. One that
            # was made since the plan stays, and the next plan sees it.
            site.host.files.remove(f"{folder}/{OPERATOR}")
        if isinstance(jail, Jail):
            settle(site, jail.name, jail.upper)
        site.host.jails.start(f"{folder}/jail.conf", jail.name, site.output(jail.ref))


@dataclass(frozen=True, slots=True)
class StopJail(Action):
    """jail -r with the configuration it was started from, so that everything is unmounted."""

    @property
    def phase(self) -> Phase:
        """After all preparation, before anything else."""
        return Phase.TEARDOWN

    @property
    def interrupts(self) -> bool:
        """It does."""
        return True

    def title(self) -> str:
        """A verb and its object."""
        return "stop jail"

    def apply(self, site: Site) -> None:
        """Stop it if it runs, then sweep what is still mounted below its root."""
        jail = self.subject
        folder = f"{site.mountpoint}/jails/{jail.name}"
        if any(row.name == jail.name for row in site.observe("jails").jails):
            # One that somebody made over our live path, without our root, has nothing that could shut it down.
            if isinstance(jail, Jail) and not jail.root:
                site.host.jails.remove(jail.name)
            else:
                site.host.jails.stop(f"{folder}/jail.conf", jail.name, site.output(jail.ref))
        sweep(site, jail.name)


@dataclass(frozen=True, slots=True)
class ModifyJail(Action):
    """jail -m: parameters that may change while it runs."""

    @property
    def phase(self) -> Phase:
        """In place."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        return "set " + ", ".join(f"{k}={v}" for k, v in self._changed().items())

    def _changed(self) -> dict[str, str]:
        before, after = self.before, self.after
        assert isinstance(before, Jail) and isinstance(after, Jail)
        was = dict(before.parameters)
        return {k: v for k, v in after.parameters if was.get(k) != v}

    def apply(self, site: Site) -> None:
        """Set what differs."""
        site.host.jails.modify(self.subject.name, self._changed())


def sweep(site: Site, name: str) -> None:
    """Unmount what is left at or below a stopped jail's live path, innermost first; it must not run."""
    live = f"{site.mountpoint}/live/{name}"
    seen = site.observe("jails", "mounts")
    if any(row.name == name for row in seen.jails):
        return
    unmount_all(site, [m.target for m in seen.mounts if m.target == live or m.target.startswith(live + "/")])


def want(desired: Desired) -> Iterable[Jail]:
    """Every jail that should run."""
    found = recordings(desired.seen.rows)
    for name, allocation in desired.allocated.items():
        if allocation.jail is not None:
            one = found.get(name)
            yield allocation.jail if one is None or one.stopped else replace(allocation.jail, upper=one.upper)


def have(seen: Seen) -> Iterable[Jail]:
    """Running jails whose root lies at our live path; anybody else's are not ours."""
    roots = {m.target: m.source for m in seen.observed.mounts if m.fstype == "zfs"}
    interfaces = {row.name for row in seen.observed.interfaces}
    for row in seen.observed.jails:
        live = seen.place.folder(f"live/{row.name}")
        if row.path != live or row.dying:
            continue
        started = seen.observed.files.get(f"jails/{row.name}/started", b"").decode("ascii", "replace").strip()
        shown = {k: ",".join(v) if isinstance(v, tuple) else v for k, v in row.parameters.items()}
        root = (seen.place.path(roots.get(live, "")) or "").removeprefix("jails/")
        joined = shown.get("vnet") != "new" or _joined(seen, row.name, interfaces)
        # Those that were there before it when it started; they are stopped after it.
        depends = seen.observed.files.get(f"jails/{row.name}/depends", b"").decode("utf-8", "replace").split()
        yield Jail(row.name, started, root, tuple(sorted(shown.items())), joined, frozenset(depends))


def _joined(seen: Seen, name: str, interfaces: Set[str]) -> bool:
    """Whether the host's end of a jail's network is there, or the interface that it was lent is with it still."""
    ours = names(seen.place.hostid, name)
    if ours.outer in interfaces:
        return True
    told = _LENT.search(seen.observed.files.get(f"jails/{name}/jail.conf", b"").decode("utf-8", "replace"))
    return told is not None and told[1] != ours.inner and told[1] not in interfaces


def align(before: Jail, after: Jail) -> Jail:
    """Only the parameters that are asked for; the kernel shows addresses in an order of its own."""
    asked = dict(after.parameters)
    kept = [(k, v) for k, v in before.parameters if k in asked]
    same = {k for k, v in kept if k in ADDRESSES and sorted(v.split(",")) == sorted(asked[k].split(","))}
    parameters = tuple((k, asked[k] if k in same else v) for k, v in kept)
    # Not by `replace`, which takes five times as long: there are many.
    return Jail(before.name, before.started, before.root, parameters, before.joined, before.depends, before.marked)


def steps(before: Jail | None, after: Jail | None) -> Iterable[Action]:
    """Start, stop, set, or restart when a parameter cannot be set or the files it was started from changed."""
    if before is None:
        yield StartJail(before, after, reason=_OVERRULED if after is not None and after.marked else "")
        return
    if after is None:
        yield StopJail(before, None)
        return
    was = dict(before.parameters)
    changed = {k for k, v in after.parameters if was.get(k) != v}
    fixed = changed & FIXED or any(k in changed and not v for k, v in after.parameters if k in ADDRESSES)
    if (before.started, before.root, before.joined) == (after.started, after.root, after.joined) and not fixed:
        yield ModifyJail(before, after)
        return
    reason = _reason(before, after)
    yield StopJail(before, None, reason=reason)
    yield StartJail(None, after, reason=reason)


def _reason(before: Jail, after: Jail) -> str:
    if before.root != after.root:
        return "its root changes"
    if not before.joined:
        return "its network interface is gone"
    return "its configuration changed" if before.started != after.started else "a parameter cannot change while it runs"


def notes(desired: Desired) -> Iterable[Note]:
    """Jails that an operator stopped, where the spec wants that told."""
    for name, allocation in desired.allocated.items():
        sourced = desired.specs.jails.get(name)
        if not allocation.stopped_by_operator or sourced is None or sourced.doc.state != "running":
            continue
        if sourced.doc.drift.stopped_by_operator == "warn":
            text = f"{name} should run, and was stopped by the operator: service reconciler_jails start {name}"
            yield Note(name, OPERATOR, text, sourced.place(("drift", "stopped_by_operator")))


def drift(before: Jail | None, after: Jail | None) -> str:
    """A jail that runs, or not, falls under `state`; one that runs otherwise than it should, under `parameters`."""
    return "state" if before is None or after is None else "parameters"


def narrow(resource: Jail, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its folder, for the mark of what it was started from."""
    return ((), (f"jails/{resource.name}",))


def span(resource: Jail, desired: Desired) -> Span | None:
    """The state asked for."""
    sourced = desired.specs.jails.get(resource.name)
    return sourced.place(("state",)) if sourced else None


FACETS = frozenset({"jails", "mounts", "files", "interfaces"})
KIND = Kind(Jail, want, have, steps, FACETS, narrow, drift, span, notes, align)
