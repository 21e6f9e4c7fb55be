"""A layer: a snapshot named by the digest of everything that went into it.

The missing layers of a chain run one after the other in one dataset and one build jail; each becomes a
layer by one snapshot, and the last one's is taken after the build jail has stopped. A later build clones
the layer it hits. What lies beyond the last snapshot is never used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from reconciler.build.perform import perform
from reconciler.build.recipe import Recipe
from reconciler.build.workspace import Workspace
from reconciler.kind import Desired, Kind, Place, Seen, make_dataset
from reconciler.model.action import Action, Site
from reconciler.model.diagnostic import Diagnostic, HostError, Span
from reconciler.model.ports import DatasetRow
from reconciler.model.value import Ref, Resource


@dataclass(frozen=True, slots=True)
class Layer(Resource):
    """A layer by its digest (hex). `parent` is what it stands on: a release or another layer.

    `network`: its build jail shares the host's stack.
    """

    kind: ClassVar[str] = "layer"
    parent: Ref = field(default=Ref("release", ""), compare=False)
    recipe: Recipe | None = field(default=None, compare=False)
    last: bool = field(default=True, compare=False)
    network: bool = field(default=True, compare=False)
    snapshot: str = field(default="", compare=False)
    where: Span | None = field(default=None, compare=False)

    def needs(self) -> frozenset[Ref]:
        """The container, the parent, and a clean place to work."""
        parent = {self.parent} if self.parent.name else set()
        return frozenset({Ref("dataset", "layers"), Ref("workplace", "build"), *parent})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"digest": self.name[:12]}


@dataclass(frozen=True, slots=True)
class BuildLayer(Action):
    """Run the recipe on top of the parent, then snapshot."""

    def title(self) -> str:
        """A verb and its object."""
        layer = self.subject
        assert isinstance(layer, Layer) and layer.recipe is not None
        return f"layer {layer.name[:8]}  {layer.recipe.title()}"

    def apply(self, site: Site) -> None:
        """Continue the running build when the parent is its tip; else clone the parent and begin one."""
        layer = self.subject
        assert isinstance(layer, Layer) and layer.recipe is not None
        room = _continue(site, layer) or _begin(site, layer)
        try:
            perform(site, room, layer.recipe, layer.ref, _environment(site, layer))
            if layer.last:
                room.clear()
            _commit(site, room, layer)
        except BaseException:
            site.scratch().pop(room.dataset, None)
            room.clear()
            _discard(site, room)
            raise
        if layer.last:
            site.scratch().pop(room.dataset, None)
            site.host.datasets.set(room.dataset, {"readonly": "on"})
        else:
            site.scratch()[room.dataset] = (layer.name, room)


def _discard(site: Site, room: Workspace) -> None:
    """Leave no half layer: the dataset goes, unless earlier layers of this build stand in it."""
    rows = site.observe("datasets", roots=(room.dataset,)).datasets
    if not any(row.kind == "snapshot" for row in rows):
        room.discard_unfinished()


def leave(site: Site) -> None:
    """End the builds that a run left open because it was stopped, or because what was to follow was blocked."""
    for _tip, room in site.scratch().values():
        room.clear()
        site.host.datasets.set(room.dataset, {"readonly": "on"})
    site.scratch().clear()


def _environment(site: Site, layer: Layer) -> tuple[str, str]:
    """Files of the saved shell environment: the parent's (may be absent), and this layer's."""
    parent = layer.parent.name if layer.parent.kind == "layer" else "none"
    return f"{site.mountpoint}/env/{parent}", f"{site.mountpoint}/env/{layer.name}"


def _continue(site: Site, layer: Layer) -> Workspace | None:
    for tip, room in site.scratch().values():
        if tip == layer.parent.name:
            found: Workspace = room
            return found
    return None


def _begin(site: Site, layer: Layer) -> Workspace:
    dataset = f"{site.pool}/layers/{layer.name}"
    room = Workspace(site, dataset)
    room.clear()
    room.discard_unfinished()
    make_dataset(site, dataset, {"mountpoint": "legacy", "canmount": "noauto"}, origin=_parent(site, layer))
    room.mount()
    room.start(network=layer.network)
    return room


def _parent(site: Site, layer: Layer) -> str:
    """The snapshot to clone. Raises HostError when it has gone since the plan was made."""
    if layer.parent.kind == "release":
        return f"{site.pool}/releases/{layer.parent.name}@sealed"
    rows = site.observe("datasets", roots=(f"{site.pool}/layers",)).datasets
    for row in rows:
        if row.name.endswith(f"@{layer.parent.name}") and row.user.get("digest") == layer.parent.name:
            return row.name
    raise HostError(
        Diagnostic(
            "layer-missing",
            "A layer has gone since the plan was made",
            f"Layer {layer.parent.name[:12]} is not in {site.pool}/layers.",
            "Run the command again: it will be built anew.",
        )
    )


def _commit(site: Site, room: Workspace, layer: Layer) -> None:
    snapshot = f"{room.dataset}@{layer.name}"
    site.host.datasets.snapshot([snapshot], {"reconciler:digest": layer.name})
    site.host.datasets.hold("reconciler", snapshot)


def want(desired: Desired) -> Iterable[Layer]:
    """Every layer of every chain, once; a layer is `last` when a chain ends there."""
    found: dict[str, Layer] = {}
    ends = {a.chain.layers[-1].name for a in desired.allocated.values() if a.chain.layers}
    for allocation in desired.allocated.values():
        for layer in allocation.chain.layers:
            found.setdefault(layer.name, layer)
    children: dict[str, int] = {}
    for layer in found.values():
        children[layer.parent.name] = children.get(layer.parent.name, 0) + 1
    for layer in found.values():
        last = layer.name in ends or children.get(layer.name, 0) != 1
        network = desired.specs.host.build.network != "none"
        yield replace(layer, last=last, network=network)


def snapshots(rows: Mapping[str, DatasetRow]) -> Iterable[tuple[str, DatasetRow]]:
    """Our layers: (digest, row of the snapshot)."""
    for path, row in rows.items():
        if path.startswith("layers/") and "@" in path:
            digest = path.partition("@")[2]
            if row.user.get("digest") == digest:
                yield digest, row


def have(seen: Seen) -> Iterable[Layer]:
    """Snapshots below layers/ that carry their own name as digest."""
    found: dict[str, Layer] = {}
    for digest, row in snapshots(seen.rows):
        found.setdefault(digest, Layer(digest, snapshot=row.name))
    return found.values()


def steps(before: Layer | None, after: Layer | None) -> Iterable[Action]:
    """Build what is missing; what nobody wants stays until `reconcile gc`."""
    if before is None:
        yield BuildLayer(before, after)


def narrow(_resource: Layer, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A layer lies in the dataset of the first that was missing, so all are looked at."""
    return ((place.dataset("layers"),), ())


def span(resource: Layer, _desired: Desired) -> Span | None:
    """Where the recipe stands."""
    return resource.where


KIND = Kind(Layer, want, have, steps, frozenset({"datasets"}), narrow, span=span)
