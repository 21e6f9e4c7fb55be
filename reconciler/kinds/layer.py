"""A layer: a snapshot named by the digest of everything that went into it.

The missing layers of a chain run one after the other in one dataset and one build jail; each becomes a
layer by one snapshot, and the last one's is taken after the build jail has stopped. A later build clones
the layer it hits. What lies beyond the last snapshot is never used. A layer holds files only: where a step
left something alive, a later build begins before it and runs it again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from reconciler.build.layers import built, located
from reconciler.build.made import admit
from reconciler.build.perform import perform
from reconciler.build.recipe import ApplyBuilt, ApplyPackage, Recipe, RunSegment
from reconciler.build.recorded import hold
from reconciler.build.resolver import resolving
from reconciler.build.segment import TIMEOUT
from reconciler.build.vnet import Stack
from reconciler.build.workspace import Workspace
from reconciler.kind import Desired, Kind, Place, Seen, make_dataset
from reconciler.makejail.segments import Instruction
from reconciler.model.action import Action, Note, Site
from reconciler.model.diagnostic import HostError, Span
from reconciler.model.ports import DatasetRow
from reconciler.model.value import Ref, Resource
from reconciler.spec.select import Selected


@dataclass(frozen=True, slots=True)
class Layer(Resource):
    """A layer by its digest (hex). `parent` is what it stands on, a release or another layer; `above` that layer.

    `network`: its build jail shares the host's stack, or has `stack` for itself. `live`: what it left besides files
    is lost, so nothing is built on it but in the run that makes it. `build` counts how often it was built anew on
    purpose. A first missing segment says how many `hits` came before it, and which live ones run `again`. `held`: no
    `zfs destroy` by hand takes it away.
    """

    kind: ClassVar[str] = "layer"
    build: int = 0
    parent: Ref = field(default=Ref("release", ""), compare=False)
    above: Layer | None = field(default=None, compare=False, repr=False)
    recipe: Recipe | None = field(default=None, compare=False)
    last: bool = field(default=True, compare=False)
    network: bool = field(default=True, compare=False)
    stack: Stack | None = field(default=None, compare=False)
    snapshot: str = field(default="", compare=False)
    where: Span | None = field(default=None, compare=False)
    live: bool = field(default=False, compare=False)
    hits: int = field(default=0, compare=False)
    again: tuple[int, ...] = field(default=(), compare=False)
    held: bool = True

    def needs(self) -> frozenset[Ref]:
        """The container, the parent, the jails that it names, the package's own layers, and a clean place to work."""
        parents = {self.parent} if self.parent.name else set()
        if isinstance(self.recipe, RunSegment):
            parents |= {Ref("layer", digest) for _name, digest in self.recipe.others}
        if isinstance(self.recipe, ApplyBuilt) and self.recipe.tip:
            parents.add(Ref("layer", self.recipe.tip))
        return frozenset({Ref("dataset", "layers"), Ref("workplace", "build"), *parents})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        build = {"build": str(self.build)} if self.build else {}
        return {"digest": self.name[:12], **build, **({} if self.held else {"held": "no"})}


@dataclass(frozen=True, slots=True)
class BuildLayer(Action):
    """Run the recipe on top of the parent, then snapshot. `timeout` (s) is for each segment.

    `keep`: a build that fails stays, with its jail, to be looked into.
    """

    timeout: float = field(default=TIMEOUT, kw_only=True)
    keep: bool = field(default=False, kw_only=True)

    def title(self) -> str:
        """A verb and its object."""
        layer = self.subject
        assert isinstance(layer, Layer) and layer.recipe is not None
        return f"layer {layer.name[:8]}  {layer.recipe.title()}{_told(layer)}"

    def apply(self, site: Site) -> None:
        """Continue the running build when the parent is its tip; else clone what may be resumed from, and begin one."""
        layer = self.subject
        assert isinstance(layer, Layer) and layer.recipe is not None
        _admit(site, layer)
        found = _continue(site, layer)
        room, run = (found, (layer,)) if found else _begin(site, layer)
        try:
            left = ""
            for one in run:
                assert one.recipe is not None
                with resolving(site, room, network=layer.network, servers=_servers(layer)):
                    left = perform(site, room, one.recipe, layer.ref, _environment(site, one), self.timeout)
            if layer.last:
                room.clear()
            _commit(site, room, layer, live=bool(left))
        except BaseException as error:
            site.scratch().pop(room.dataset, None)
            if self.keep and isinstance(error, HostError):
                raise _kept(room, error) from error
            _abandon(site, room)
            raise
        if layer.last:
            site.scratch().pop(room.dataset, None)
            site.host.datasets.set(room.dataset, {"readonly": "on"})
        else:
            site.scratch()[room.dataset] = (layer.name, room)


@dataclass(frozen=True, slots=True)
class HoldLayer(Action):
    """Put the hold on a layer that a run was killed before it could, or that somebody took away."""

    def title(self) -> str:
        """A verb and its object."""
        return f"hold layer {self.subject.name[:8]}"

    def apply(self, site: Site) -> None:
        """Hold the snapshot that is there."""
        before = self.before
        assert isinstance(before, Layer)
        hold(site, before.snapshot)


def _servers(layer: Layer) -> tuple[str, ...] | None:
    return layer.stack.vnet.resolver if layer.stack is not None else None


def _admit(site: Site, layer: Layer) -> None:
    """A package is judged before a dataset is made for it."""
    if isinstance(layer.recipe, ApplyPackage | ApplyBuilt):
        below = layer
        recipes: list[Recipe | None] = [layer.recipe]
        while below.above is not None:
            below = below.above
            recipes.insert(0, below.recipe)
        admit(site, recipes, below.parent.name, layer.ref)


def _told(layer: Layer) -> str:
    """What the plan says of the segments before: hits, and those that run again."""
    said = [f"{layer.hits} already here"] if layer.hits else []
    if layer.again:
        word = "segment" if len(layer.again) == 1 else "segments"
        said.append(f"again, since live: {word} {', '.join(map(str, layer.again))}")
    if layer.build:
        said.append("again: no cache")
    return f" ({'; '.join(said)})" if said else ""


def _kept(room: Workspace, error: HostError) -> HostError:
    """The same failure, saying where it can be looked into."""
    hint = (
        f"The build jail was kept: reconcile exec -i {room.jail} -- sh -i, or on the host: jexec {room.jail} sh. "
        "The next apply or build clears it away, or: reconcile gc"
    )
    found = (replace(diagnostic, hint=hint) for diagnostic in error.diagnostics)
    first, *others = found
    kept = HostError(first, argv=error.argv, status=error.status, stderr=error.stderr, transient=error.transient)
    kept.diagnostics = (first, *others)
    return kept


def _abandon(site: Site, room: Workspace) -> None:
    """Leave no half layer and no jail: the dataset goes, unless earlier layers of this build stand in it."""
    room.clear()
    site.host.files.clear(room.work)
    rows = site.observe("datasets", roots=(room.dataset,)).datasets
    if any(row.kind == "snapshot" for row in rows):
        site.host.datasets.set(room.dataset, {"readonly": "on"})
    else:
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


def _begin(site: Site, layer: Layer) -> tuple[Workspace, tuple[Layer, ...]]:
    """A build on top of what may be resumed from; and the layers to run in it, this one last."""
    origin, again = _resumed(site, layer)
    dataset = f"{site.pool}/layers/{layer.name}" + (f".{layer.build}" if layer.build else "")
    room = Workspace(site, dataset)
    room.clear()
    room.discard_unfinished()
    try:
        make_dataset(site, dataset, {"mountpoint": "legacy", "canmount": "noauto"}, origin=origin)
        room.mount()
        room.start(network=layer.network, stack=layer.stack)
    except BaseException:
        _abandon(site, room)
        raise
    return room, (*again, layer)


def _resumed(site: Site, layer: Layer) -> tuple[str, tuple[Layer, ...]]:
    """The snapshot to clone, and the live layers between: they run again, but make no second layer.

    Raises HostError (code `layer-missing`) when it has gone since the plan was made.
    """
    again: tuple[Layer, ...] = ()
    rows = site.observe("datasets", roots=(f"{site.pool}/layers",)).datasets
    one = layer
    while one.parent.kind == "layer":
        row = located(site, rows, one.parent.name)
        if row.user.get("live") != "on" or one.above is None:
            return row.name, again
        one = one.above
        again = (one, *again)
    return f"{site.pool}/releases/{one.parent.name}@sealed", again


def _commit(site: Site, room: Workspace, layer: Layer, *, live: bool) -> None:
    snapshot = f"{room.dataset}@{layer.name}"
    properties = {"reconciler:digest": layer.name, **({"reconciler:live": "on"} if live else {})}
    site.host.datasets.snapshot([snapshot], properties)
    hold(site, snapshot)


def want(desired: Desired) -> Iterable[Layer]:
    """Every layer of every chain of jails that are not left alone, once; it is `last` when a chain ends there."""
    found: dict[str, Layer] = {}
    chains = [a.chain for name, a in desired.allocated.items() if name not in desired.left]
    ends = {chain.layers[-1].name for chain in chains if chain.layers}
    ends |= {layer.recipe.tip for chain in chains for layer in chain.layers if isinstance(layer.recipe, ApplyBuilt)}
    there = here(desired.seen)
    for chain in chains:
        for layer in needed(chain, there):
            if layer.name not in found or found[layer.name].build < layer.build:
                found[layer.name] = layer
    stack = _stack(desired.specs)
    children: dict[str, int] = {}
    for layer in found.values():
        children[layer.parent.name] = children.get(layer.parent.name, 0) + 1
    for layer in found.values():
        last = layer.name in ends or children.get(layer.name, 0) != 1
        yield replace(layer, last=last, network=desired.specs.host.build.network != "none", stack=stack)


def _stack(specs: Selected) -> Stack | None:
    """What build jails have where the Host document says `network: vnet`."""
    host, vnet = specs.host, specs.host.build.vnet
    if host.build.network != "vnet" or vnet is None:
        return None
    networks = (jail.raw.get("network") for jail in specs.jails.values())
    stacks = (network.get("vnet") for network in networks if isinstance(network, Mapping))
    shared = any(isinstance(one, Mapping) and one.get("bridge") == vnet.bridge for one in stacks)
    return Stack(vnet, (host.external or "") if vnet.nat else "", shared)


def needed(chain: Any, there: Container[str]) -> tuple[Layer, ...]:
    """The layers of a chain; those of jails and packages beside it as well, where one that names any is to be built."""
    layers: tuple[Layer, ...] = chain.layers
    run = [layer.recipe for layer in layers if layer.build or layer.name not in there]
    named = any(isinstance(one, ApplyBuilt) or (isinstance(one, RunSegment) and one.others) for one in run)
    return (*chain.beside, *layers) if named else layers


def anew(layers: list[Layer], here: Mapping[str, Layer]) -> tuple[Layer, ...]:
    """The chain with every segment built once more; what is there stays for those that use it."""
    segments = {layer.name for layer in layers if isinstance(layer.recipe, RunSegment)}
    build = max((here[name].build + 1 for name in segments if name in here), default=0)
    return tuple(replace(layer, build=build) if layer.name in segments else layer for layer in layers)


def resumed(layers: list[Layer], here: Mapping[str, Layer]) -> tuple[Layer, ...]:
    """The chain; its first missing segment says what of the segments before is used, and what runs again."""
    missing = next((at for at, layer in enumerate(layers) if layer.name not in here), None)
    if missing is None or not isinstance(layers[missing].recipe, RunSegment):
        return tuple(layers)
    before = [layer for layer in layers[:missing] if isinstance(layer.recipe, RunSegment)]
    hits = len(before)
    while hits and here[before[hits - 1].name].live:
        hits -= 1
    again = tuple(range(hits + 1, len(before) + 1))
    layers[missing] = replace(layers[missing], hits=hits, again=again)
    return tuple(layers)


def snapshots(rows: Mapping[str, DatasetRow]) -> Iterable[tuple[str, DatasetRow]]:
    """Our layers: (digest, row of the snapshot)."""
    for path, row in rows.items():
        if path.startswith("layers/") and "@" in path:
            digest = path.partition("@")[2]
            if row.user.get("digest") == digest:
                yield digest, row


def here(seen: Seen) -> Mapping[str, Layer]:
    """Snapshots below layers/ that carry their own name as digest, by it: the one built last of each."""
    if "layers" not in seen.worked_out:
        found: dict[str, Layer] = {}
        for digest, row in snapshots(seen.rows):
            live, held = row.user.get("live") == "on", row.holds > 0
            layer = Layer(digest, built(row.name), snapshot=row.name, live=live, held=held)
            if digest not in found or found[digest].build < layer.build:
                found[digest] = layer
        seen.worked_out["layers"] = found
    layers: dict[str, Layer] = seen.worked_out["layers"]
    return layers


def have(seen: Seen) -> Iterable[Layer]:
    """Every layer that is here."""
    return here(seen).values()


def align(before: Layer, after: Layer) -> Layer:
    """Built at least as often as asked is as it should be."""
    return replace(before, build=after.build) if before.build >= after.build else before


def steps(before: Layer | None, after: Layer | None) -> Iterable[Action]:
    """Build what is missing, or wanted anew; what nobody wants stays until `reconcile gc`."""
    if before is not None and after is not None and before.build >= after.build:
        yield HoldLayer(before, after)
    elif after is not None:
        yield BuildLayer(before, after)


def notes(desired: Desired) -> Iterable[Note]:
    """What runs as root on the host where something is built, and what of that is not run again."""
    there = here(desired.seen)
    for name, allocation in desired.allocated.items():
        if name in desired.left:
            continue
        layers = needed(allocation.chain, there)
        missing = [layer for layer in layers if layer.build or layer.name not in there]
        first = layers.index(missing[0]) if missing else len(layers)
        begin = first - (len(missing[0].again) if missing else 0)
        if now := _host_code(layers[begin:]):
            text = f"runs code as root on this host, outside the jail: {_listed(now)}"
            yield Note(name, "host-code", text, now[0].span)
        if missing and (past := _host_code(layers[:begin])):
            text = f"already built, so not run on this host again: {_listed(past)}"
            yield Note(name, "host-code-skipped", text, past[0].span)


def _host_code(layers: Iterable[Layer]) -> list[Instruction]:
    recipes = (layer.recipe for layer in layers)
    return [one for r in recipes if isinstance(r, RunSegment) for one in r.segment.instructions if one.host_code]


def _listed(found: list[Instruction]) -> str:
    return ", ".join(f"{one.span.file}:{one.span.line} {one.name}" for one in found)


def narrow(_resource: Layer, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A layer lies in the dataset of the first that was missing, so all are looked at."""
    return ((place.dataset("layers"),), ())


def span(resource: Layer, _desired: Desired) -> Span | None:
    """Where the recipe stands."""
    return resource.where


KIND = Kind(Layer, want, have, steps, frozenset({"datasets"}), narrow, span=span, notes=notes, align=align)
