"""What a file in `kinds/` offers, and what its functions are given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.action import Action, Note, Site
from reconciler.model.diagnostic import Span
from reconciler.model.ports import DatasetRow, Observed
from reconciler.model.value import Resource
from reconciler.spec.select import Selected


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything of ours lies on a host: dataset, folder, and the host's identity."""

    pool: str
    mountpoint: str
    hostid: str

    def dataset(self, path: str) -> str:
        """Whole name of a dataset of ours; "" is the pool's own."""
        return f"{self.pool}/{path}" if path else self.pool

    def folder(self, path: str) -> str:
        """Absolute path of a folder of ours."""
        return f"{self.mountpoint}/{path}"

    def path(self, dataset: str) -> str | None:
        """The part of a whole dataset name below ours; None when it lies elsewhere."""
        if dataset == self.pool:
            return ""
        return dataset[len(self.pool) + 1 :] if dataset.startswith(self.pool + "/") else None

    def owner(self, row: DatasetRow) -> str:
        """Whose a dataset is: `ours`, `pending` (made by us, not yet claimed by guid) or `foreign`.

        User properties inherit, travel with `zfs send -p` and can be set inside a jail, so the value
        must name this host and this very dataset, and the dataset must not be delegated.
        """
        if row.jailed:
            return "foreign"
        mark = row.user.get("owner", "")
        if mark == f"{self.hostid}:{row.guid}":
            return "ours"
        if mark == self.pending(row.name):
            return "pending"
        return "foreign"

    def pending(self, dataset: str) -> str:
        """The mark a dataset is made with, until its guid is known."""
        return f"{self.hostid}:new:{dataset}"


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation, and where we are on that host."""

    place: Place
    observed: Observed
    rows: Mapping[str, DatasetRow] = field(default_factory=dict)
    worked_out: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What a kind derives from this observation once, by its own word."""

    @classmethod
    def of(cls, place: Place, observed: Observed) -> Seen:
        """Index the datasets that are ours (or pending) by path below the pool; snapshots as `path@name`."""
        mine: dict[str, DatasetRow] = {}
        prefix = len(place.pool) + 1
        for row in observed.datasets:
            name = row.name
            if row.kind == "snapshot":
                head, _, snap = name.partition("@")
                if head[prefix:] in mine:
                    mine[f"{head[prefix:]}@{snap}"] = row
            elif place.owner(row) != "foreign":
                path = place.path(name)
                mine[path if path is not None else f"//{name}"] = row
        return cls(place, observed, mine)


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything `want` may look at: the specs for this host, and what planning has decided.

    `allocated` maps a jail to its allocation (chain, generation, configuration): see `allocate.py`.
    `source` names the folder of specs, "" for a run that may not prune. `renaming` maps a jail to the
    datasets that still have its former name, with what they will be called. `left` are jails that this run
    leaves alone.
    """

    specs: Selected
    seen: Seen
    allocated: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    adopt_source: bool = False
    renaming: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left: frozenset[str] = frozenset()

    @property
    def place(self) -> Place:
        """Where we are."""
        return self.seen.place


def no_span(_resource: Resource, _desired: Desired) -> Span | None:
    """For kinds that no line of a spec asks for."""
    return None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource.

    `want` and `steps` are pure; `have` is a pure function of an observation of `facets`, and lists only
    what is ours. `narrow` says which datasets and folders (relative) show one resource, to verify a step
    without looking at everything. `align` leaves out of what was seen the fields that what is wanted
    leaves open. `drift` names the spec's drift field, or says which one a difference (before, after) falls
    under; "" is always corrected.
    """

    resource: type[Resource]
    want: Callable[[Desired], Iterable[Resource]]
    have: Callable[[Seen], Iterable[Resource]]
    steps: Callable[[Any, Any], Iterable[Action]]
    facets: frozenset[str]
    narrow: Callable[[Any, Place], tuple[tuple[str, ...], tuple[str, ...]]] = lambda _r, _p: ((), ())
    drift: str | Callable[[Any, Any], str] = ""
    span: Callable[[Any, Desired], Span | None] = no_span
    notes: Callable[[Desired], Iterable[Note]] = lambda _d: ()
    align: Callable[[Any, Any], Resource] = lambda before, _after: before


def digest(*parts: str | bytes) -> str:
    """SHA256 (hex) over parts framed by length, so that no two lists of parts collide."""
    if len(parts) == 1:  # a file: there are a dozen for each jail
        data = parts[0].encode() if isinstance(parts[0], str) else parts[0]
        return hashlib.sha256(b"%d:%b" % (len(data), data)).hexdigest()
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(b"%d:" % len(data))
        h.update(data)
    return h.hexdigest()


def attributes(row: DatasetRow) -> tuple[tuple[str, str], ...]:
    """What decides where a dataset appears, and whether it can be written, as zfs(8) prints it."""
    readonly = "on" if row.readonly else "off"
    return (("canmount", row.canmount), ("mountpoint", row.mountpoint), ("readonly", readonly))


ROOT = (("canmount", "noauto"), ("mountpoint", "legacy"), ("readonly", "off"))
SEALED = (("canmount", "noauto"), ("mountpoint", "legacy"), ("readonly", "on"))


def make_dataset(
    site: Site, name: str, properties: Mapping[str, str], origin: str | None = None, *, claim: bool = True
) -> None:
    """Create or clone a dataset and mark it ours by its guid (left to the caller without `claim`).

    Between the two steps it carries a mark that names it, so a kill leaves nothing unowned.
    """
    marked = {**properties, "reconciler:owner": f"{site.hostid}:new:{name}"}
    if origin is None:
        site.host.datasets.create(name, marked)
    else:
        site.host.datasets.clone(origin, name, marked)
    if claim:
        claim_dataset(site, name)


def claim_dataset(site: Site, name: str) -> None:
    """Bind a dataset that we made to this host and to its guid."""
    guid = site.host.datasets.guid(name)
    site.host.datasets.set(name, {"reconciler:owner": f"{site.hostid}:{guid}"})
