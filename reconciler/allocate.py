"""What planning decides for each jail before anything is compared: its chain, generation and configuration.

Pure: from the specs, the compiled Makejails and one observation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler import runtime
from reconciler.build import seal
from reconciler.build.pins import Pins, pins_of
from reconciler.build.recipe import ApplyBuilt, ApplyImage, ApplyPackage, InstallPackages, Recipe, RunSegment, copied
from reconciler.generations import kept, next_generation, passed
from reconciler.kind import Seen, digest
from reconciler.kinds.config import Config, generation
from reconciler.kinds.config import have as have_config
from reconciler.kinds.jail import Jail
from reconciler.kinds.layer import Layer, anew, resumed
from reconciler.kinds.layer import here as layers_here
from reconciler.kinds.release import Release, is_packaged
from reconciler.kinds.root import Root
from reconciler.kinds.root import have as have_roots
from reconciler.kinds.volume import dataset_of
from reconciler.makejail.program import Program
from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.model.quick import quick
from reconciler.model.value import Ref
from reconciler.renderings import Rendering, Renderings, render
from reconciler.shown import shown_jail
from reconciler.spec import document
from reconciler.spec.lock import Lock, PinnedFile, abi_of
from reconciler.spec.select import PackageRef, Selected
from reconciler.spec.specset import Sourced
from reconciler.thick import thick

Planned = tuple[Recipe, Span]
"""One step of a chain, and the place that asks for it."""


@quick
@dataclass(frozen=True, slots=True)
class Chain:
    """How a root is made: a release, then layers. `tip` is what the root clones. `built` are layers of its packages.

    `under` are releases that are only there because the release is patched from them. `floating`: the release is
    not here yet, its level is `latest`, and nothing pins what that is. `beside` are the layers of jails that only its
    segments look into.
    """

    release: Release
    layers: tuple[Layer, ...]
    under: tuple[Release, ...] = ()
    floating: bool = False
    beside: tuple[Layer, ...] = ()

    @property
    def every(self) -> tuple[Layer, ...]:
        """Its layers, after those of the jails beside it."""
        return (*self.beside, *self.layers)

    @property
    def tip(self) -> Ref:
        """The last layer, or the release itself."""
        return self.layers[-1].ref if self.layers else self.release.ref


@quick
@dataclass(frozen=True, slots=True)
class Allocation:
    """Everything decided for one jail. `held` says why nothing is done: its root failed its check.

    `past` are the numbers of roots that never were good.
    """

    chain: Chain
    root: Root
    kept: tuple[Root, ...]
    past: frozenset[int]
    config: Config
    jail: Jail | None
    inputs: str
    ruleset: int = 0
    live: int = 0
    held: bool = False
    stopped_by_operator: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """What allocation reads. `packages` are each jail's jail packages, resolved; `retry` lifts a rejection.

    Makejails of jails in `rebuild` are built anew. `fetched` are patch levels of releases that were looked into.
    `rulesets` are the numbers of those jails that have devfs rules of their own: see `rulesets`.
    `lock` pins packages. `renderings` are those of an earlier look, where they are remembered.
    """

    specs: Selected
    seen: Seen
    programs: Mapping[str, Program]
    packages: Mapping[str, tuple[PackageRef, ...]]
    retry: frozenset[str] = frozenset()
    contexts: Mapping[str, str] = field(default_factory=dict)
    rebuild: frozenset[str] = frozenset()
    fetched: Mapping[str, int] = field(default_factory=dict)
    rulesets: Mapping[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    renderings: Renderings | None = None
    levels: Mapping[str, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Look once at which releases are here: jails are many, and so are datasets."""
        object.__setattr__(self, "levels", _levels(self.seen))


def allocate(inputs: Inputs) -> dict[str, Allocation]:
    """One allocation for each jail, in the order of names."""
    roots: dict[str, list[Root]] = {}
    for root in have_roots(inputs.seen):
        roots.setdefault(root.jail, []).append(root)
    configs = {c.name: c for c in have_config(inputs.seen)}
    return {
        name: _one(inputs, name, sourced, roots.get(name, []), configs.get(name), inputs.rulesets.get(name, 0))
        for name, sourced in sorted(inputs.specs.jails.items())
    }


def _one(
    inputs: Inputs, name: str, sourced: Sourced[document.Jail], roots: list[Root], config: Config | None, ruleset: int
) -> Allocation:
    spec = sourced.doc
    place = inputs.seen.place
    chain = _chain(inputs, name, sourced)
    folders = runtime.mountpoints(spec)
    whole = spec.update.strategy == "in_place"
    wanted = digest(seal.RULE, *(["in_place"] if whole else []), str(chain.tip), *folders)
    live = generation(inputs.seen.observed.files.get(f"jails/{name}/fstab"), place, name)
    number, former = next_generation(roots, live, wanted)
    text = spec.model_dump_json()
    facts = digest(text, wanted, str(inputs.specs.host.external))
    held = _rejected(inputs, name) == facts and name not in inputs.retry
    row = inputs.seen.rows.get(f"jails/{name}")
    good = int(row.user["good"]) if row and row.user.get("good", "").isdigit() else 0
    root = Root(f"{name}/{number}", name, number, wanted, chain.tip, folders, former=former)
    if whole:
        chain, root = thick(chain, root, roots, live, _platform(inputs))
    files, content = _files(inputs, spec, text, f"{place.dataset('jails')}/{name}/{number}", ruleset)
    if config is not None and config.files == files:
        files = config.files  # the same object: most jails are as they should be
    volumes = frozenset(Ref("volume", f"{name}/{v.name}") for v in spec.volumes)
    at_rest = bool(live) and live == good and name not in inputs.retry
    data = (place.dataset(f"jails/{name}/{live}"), *(dataset_of(place, name, v) for v in spec.volumes))
    now = Config(name, files, number, content, save=at_rest, data=data, root=root.ref, volumes=volumes)
    if held and config is not None and live:
        root = next((r for r in roots if r.number == live), root)
        now = config
    past, older = passed(roots, root, live, good), kept(roots, root, live, good, spec.update.keep)
    marked = f"jails/{name}/{runtime.OPERATOR}" in inputs.seen.observed.files
    by_hand = marked and spec.drift.stopped_by_operator != "correct"
    runs = spec.state == "running" and not by_hand
    started = _started(content if now.content else None, inputs, name)
    jail = shown_jail(spec, started, root, ruleset, place.hostid, marked=marked) if runs else None
    root = replace(root, restart=runs and live == good) if root.carried >= 0 else root
    return Allocation(chain, root, older, past, now, jail, facts, ruleset, live, held, by_hand)


def _started(content: Mapping[str, tuple[int, str]] | None, inputs: Inputs, name: str) -> str:
    if content is not None:
        return content["config-id"][1].strip()
    return inputs.seen.observed.files.get(f"jails/{name}/config-id", b"").decode("ascii", "replace").strip()


def _rejected(inputs: Inputs, name: str) -> str:
    row = inputs.seen.rows.get(f"jails/{name}")
    return row.user.get("rejected", "") if row else ""


def _chain(inputs: Inputs, name: str, sourced: Sourced[document.Jail]) -> Chain:
    spec = sourced.doc
    release, under = _release(inputs, spec)
    program = inputs.programs.get(name)
    steps: list[Planned] = _image(inputs, program)
    beside: list[Layer] = []
    for index, package in enumerate(inputs.packages.get(name, ())):
        place = sourced.place(("packages", index))
        if package.document is not None:
            steps.append((_built(inputs, spec, release, package, beside), place))
        else:
            sha = package.digest.removeprefix("sha256:")
            steps.append((ApplyPackage(package.name, package.version or "", sha, package, package.replaces), place))
    if spec.pkg:
        steps.append((InstallPackages(spec.pkg, _pins(inputs, spec, spec.pkg)), sourced.place(("pkg",))))
    if program is not None:
        env = spec.makejail.env if spec.makejail else {}
        steps += _segments(inputs, spec, program, name, release, beside, env)
    layers, there = _layers(inputs, release, steps), layers_here(inputs.seen)
    floating = spec.patch_level == "latest" and spec.release not in inputs.lock.releases
    floating = floating and release.level not in inputs.levels.get(release.release, ())
    chosen = anew(layers, there) if name in inputs.rebuild else resumed(layers, there)
    return Chain(release, chosen, under, floating, tuple(beside))


def _built(
    inputs: Inputs, spec: document.Jail, release: Release, package: PackageRef, beside: list[Layer]
) -> ApplyBuilt:
    """A package with a Makejail, whose own layers are added to `beside`: they stand on the jail's release."""
    assert package.document is not None and package.document.doc.makejail is not None
    level, env = package.document.doc.patch_level, package.document.doc.makejail.env
    segments = _segments(inputs, spec, package.program, "", release, beside, env, part=package.name)
    steps = [*_image(inputs, package.program), *segments]
    layers = resumed(_layers(inputs, release, steps), layers_here(inputs.seen))
    beside += [layer for layer in layers if layer.name not in {one.name for one in beside}]
    levels = (0, None) if level is None else (level, level)
    tip = layers[-1].name if layers else ""
    known = inputs.lock.built.get(package.name)
    pinned = known.sha256 if known is not None and known.inputs == tip else ""
    paths = copied(recipe for recipe, _ in steps)
    return ApplyBuilt(package.name, package.version or "", tip, release.name, levels, pinned, package.replaces, paths)


def _layers(inputs: Inputs, release: Release, steps: Iterable[Planned]) -> list[Layer]:
    """The layers that these steps make on top of a release."""
    layers: list[Layer] = []
    parent, parent_digest, platform = release.ref, digest("release", release.name), _platform(inputs)
    for recipe, where in steps:
        found = recipe.digest(parent_digest, platform)
        above = layers[-1] if layers else None
        layers.append(Layer(found, parent=parent, above=above, recipe=recipe, where=where))
        parent, parent_digest = layers[-1].ref, found
    return layers


def _image(inputs: Inputs, program: Program | None) -> list[tuple[Recipe, Span]]:
    """The image that a Makejail begins with, for its platform or the host's. Raises SpecError, `image-missing`."""
    image = program.image if program is not None else None
    if image is None:
        return []
    facts = inputs.seen.observed.facts
    arch = image.platform or (facts.arch if facts else "")
    archive = image.archives.get(arch)
    if archive is None:
        detail = (
            f"{image.name}:{image.tag} is there for {', '.join(sorted(image.archives)) or 'nothing'}, not for {arch}."
        )
        hint = "Choose another tag, or name what the jail is made of in its spec: release:, packages: and pkg:."
        raise SpecError(
            Diagnostic("image-missing", "The image is not there for this machine", detail, hint, image.span)
        )
    return [(ApplyImage(image.name, image.tag, archive.sha256, archive.urls), image.span)]


def _segments(
    inputs: Inputs,
    spec: document.Jail,
    program: Program,
    name: str,
    release: Release,
    beside: list[Layer],
    env: Mapping[str, str],
    part: str = "",
) -> list[Planned]:
    """The segments of a program; the layers of the jails that its EXECs build are added to `beside`."""
    tips: dict[str, str] = {}
    for other, its in program.others.items():
        segments = _segments(inputs, spec, its, name, release, beside, env, part=other)
        steps = [*_image(inputs, its), *segments]
        layers = list(resumed(_layers(inputs, release, steps), layers_here(inputs.seen)))
        beside += [layer for layer in layers if layer.name not in {one.name for one in beside}]
        tips |= {other: layers[-1].name} if layers else {}
    given = tuple(sorted(env.items()))
    context = (program.root if part else "") or inputs.contexts.get(name, "")
    found: list[Planned] = []
    for number, segment in enumerate(program.segments, start=1):
        pins, held = _pins(inputs, spec, segment.packages), inputs.lock.files
        files = tuple(PinnedFile(url, held[url]) for url in segment.urls if url in held)
        others = tuple((other, tips[other]) for other in segment.others if other in tips)
        total, jail = len(program.segments), part or name
        run = RunSegment(segment, number, total, jail, given, context, "", files, others, part, pins)
        found.append((run, segment.span))
    return found


def _pins(inputs: Inputs, spec: document.Jail, names: tuple[str, ...]) -> Pins | None:
    """What the lock says of packages and of all that they need; nothing unless it says it of each."""
    facts = inputs.seen.observed.facts
    return pins_of(inputs.lock, abi_of(spec.release or "", facts.arch), names) if names and facts else None


def _platform(inputs: Inputs) -> str:
    facts = inputs.seen.observed.facts
    return f"{facts.machine}/{facts.arch}" if facts else ""


def _levels(seen: Seen) -> dict[str, tuple[int, ...]]:
    """The patch levels of each release that is whole on the host."""
    found: dict[str, tuple[int, ...]] = {}
    for path, row in seen.rows.items():
        level = row.user.get("patch_level", "")
        if path.startswith("releases/") and path.endswith("@sealed") and level.isdigit():
            name = path[len("releases/") :].rpartition("-p")[0]
            found[name] = (*found.get(name, ()), int(level))
    return found


def _release(inputs: Inputs, spec: document.Jail) -> tuple[Release, tuple[Release, ...]]:
    """The release at its level, and the one to fetch and patch where it is not here.

    `latest` is what the lock says; without one the newest that is here, or what a mirror's sets hold. Patching
    begins at the highest level below that is here: freebsd-update(8) goes from any to the newest.
    """
    name = spec.release or ""
    here, fetched = inputs.levels.get(name, ()), inputs.fetched.get(name, 0)
    level = _level(inputs, name, spec.patch_level)
    source = found.doc if (found := inputs.specs.releases.get(name)) else None
    known = here if is_packaged(source) else (*here, fetched)  # packages lead to their newest level at once
    below = max((one for one in known if one < level), default=level)
    if level in known or below == level:
        return Release(f"{name}-p{level}", level, source), ()
    base = Release(f"{name}-p{below}", below, source)
    return Release(f"{name}-p{level}", level, source, base.name), (base,)


def _level(inputs: Inputs, name: str, wanted: int | str) -> int:
    """The number that a `patch_level` stands for."""
    if wanted != "latest":
        return int(wanted)
    if name in inputs.lock.releases:
        return inputs.lock.releases[name]
    return max(inputs.levels.get(name, ()), default=inputs.fetched.get(name, 0))


def rulesets(specs: Selected, seen: Seen) -> dict[str, int]:
    """Numbers for jails with devfs rules of their own, clear of everybody else's."""
    wanted = [name for name, sourced in specs.jails.items() if sourced.says("devfs") and sourced.doc.devfs]
    if not wanted:
        return {}
    ours = {}
    for name in wanted:
        # A stopped jail's ruleset stays loaded; the number stands in its fstab.
        text = seen.observed.files.get(f"jails/{name}/fstab", b"").decode("utf-8", "replace")
        if (number_ := re.search(r"ruleset=(\d+)", text)) and int(number_[1]) in runtime.RULESETS:
            ours[name] = int(number_[1])
    for row in seen.observed.jails:
        number = str(row.parameters.get("devfs_ruleset", ""))
        if row.name in wanted and row.name not in ours and number.isdigit():
            ours[row.name] = int(number)
    taken = seen.observed.devices - set(ours.values())
    return dict(runtime.allocate_rulesets(seen.place.hostid, wanted, taken))


def _files(inputs: Inputs, spec: document.Jail, text: str, root: str, ruleset: int) -> Rendering:
    """The compared form of a jail's files, and the files; `text` is its document."""
    place, facts = inputs.seen.place, inputs.seen.observed.facts
    program = inputs.programs.get(spec.name)
    asked = runtime.Runtime(
        jail=spec,
        pool=place.pool,
        mountpoint=place.mountpoint,
        root=root,
        hostid=place.hostid,
        osrelease=spec.release or "",
        host_osrelease=facts.osrelease if facts else "",
        external=inputs.specs.host.external,
        devfs_ruleset=runtime.devfs_ruleset(spec, ruleset),
        stages=program.stages if program is not None else {},
    )
    return render(asked) if inputs.renderings is None else inputs.renderings.of(asked, text)
