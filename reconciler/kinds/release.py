"""A release at a patch level: fetched, verified and unpacked, or patched from a lower level; sealed by one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from reconciler.build import packaged
from reconciler.build.levels import reach
from reconciler.build.patch import NOTHING, Wanted, lines, observed_level
from reconciler.build.recorded import hold
from reconciler.build.workspace import Workspace
from reconciler.kind import SEALED, Desired, Kind, Place, Seen, attributes, make_dataset
from reconciler.model.action import Action, Site
from reconciler.model.diagnostic import Diagnostic, HostError, Span
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource

LONGEST = 4000  # bytes of a property's value, which holds 8191


@quick
@dataclass(frozen=True, slots=True)
class Release(Resource):
    """A sealed release by `15.1-RELEASE-p0`. `source` is what the mirror is asked for.

    `base` names the release that it is patched from, "" for one that is fetched. `held`: no `zfs destroy` by hand takes
    it away.
    """

    kind: ClassVar[str] = "release"
    level: int = 0
    source: Any = field(default=None, compare=False)
    base: str = field(default="", compare=False)
    attributes: tuple[tuple[str, str], ...] = SEALED
    held: bool = True

    @property
    def release(self) -> str:
        """Its name without the level."""
        return self.name.rpartition("-p")[0]

    def needs(self) -> frozenset[Ref]:
        """The container, a clean place to work, and the release that it is patched from."""
        base = {Ref("release", self.base)} if self.base else set()
        return frozenset({Ref("dataset", "releases"), Ref("workplace", "build"), *base})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"patch level": str(self.level), "held": "yes" if self.held else "no", **dict(self.attributes)}


@dataclass(frozen=True, slots=True)
class FetchRelease(Action):
    """Download and verify the sets, unpack them with the host's tar, read the level, seal."""

    def title(self) -> str:
        """A verb and its object."""
        return f"fetch release {self.subject.name}"

    def apply(self, site: Site) -> None:
        """Everything lands under the final name; the release exists once @sealed does."""
        wanted = self.subject
        assert isinstance(wanted, Release)
        dataset = f"{site.pool}/releases/{wanted.name}"
        sets = site.archive(wanted.source, wanted.ref)
        with _begun(site, dataset) as room:
            for _name, chunks in sets:
                site.host.files.extract(chunks, room.path)
            level = _checked(site, room.path, wanted)
        _seal(site, dataset, wanted, level)


@dataclass(frozen=True, slots=True)
class InstallRelease(Action):
    """Install base packages into an empty tree, read the level, seal."""

    def title(self) -> str:
        """A verb and its object."""
        return f"install release {self.subject.name} from packages"

    def apply(self, site: Site) -> None:
        """As fetching: under the final name, and there once @sealed is."""
        wanted = self.subject
        assert isinstance(wanted, Release)
        asked = _asked(site, wanted)
        dataset = f"{site.pool}/releases/{wanted.name}"
        with _begun(site, dataset) as room:
            level = packaged.install(site, room, asked, wanted.ref)
        _seal(site, dataset, wanted, level)


@dataclass(frozen=True, slots=True)
class PatchRelease(Action):
    """Clone the release at a lower level, patch the clone, read its level, seal."""

    def title(self) -> str:
        """A verb and its object."""
        wanted = self.subject
        assert isinstance(wanted, Release)
        return f"patch release {wanted.base} to -p{wanted.level}"

    def apply(self, site: Site) -> None:
        """As fetching: under the final name, and there once @sealed is."""
        wanted = self.subject
        assert isinstance(wanted, Release)
        asked = _asked(site, wanted)
        dataset = f"{site.pool}/releases/{wanted.name}"
        with _begun(site, dataset, f"{site.pool}/releases/{wanted.base}@sealed") as room:
            patched = reach(site, room, asked, wanted.ref)
        for line in lines(patched, wanted.name):
            site.output(wanted.ref)(f"{line}\n".encode())
        _seal(site, dataset, wanted, patched.level, patched.skipped)


@contextmanager
def _begun(site: Site, dataset: str, origin: str | None = None) -> Iterator[Workspace]:
    """A release's dataset made anew, mounted to be filled; a clone where it has an origin."""
    with Workspace(site, dataset) as room:
        room.discard_unfinished()
        make_dataset(site, dataset, {"mountpoint": "legacy", "canmount": "noauto"}, origin=origin)
        room.mount()
        yield room


def _asked(site: Site, wanted: Release) -> Wanted:
    rows = site.observe("datasets", roots=(f"{site.pool}/releases",)).datasets
    same = [row.user for row in rows if row.name.endswith("@sealed") and row.user.get("release") == wanted.release]
    here = tuple(sorted(int(user["patch_level"]) for user in same if user.get("patch_level", "").isdigit()))
    sets = tuple(wanted.source.sets) if wanted.source is not None else ("base",)
    now = int(wanted.base.rpartition("-p")[2]) if wanted.base else NOTHING
    return Wanted(wanted.release, wanted.level, now, site.updates, sets, here)


@dataclass(frozen=True, slots=True)
class SetRelease(Action):
    """Close it again: read-only, mounted nowhere by itself. Its jails are clones of the snapshot, and not touched."""

    def title(self) -> str:
        """A verb and its object."""
        return f"correct dataset releases/{self.subject.name}"

    def apply(self, site: Site) -> None:
        """Set what differs."""
        before, after = self.before, self.after
        assert isinstance(before, Release) and isinstance(after, Release)
        changed = sorted(set(after.attributes) - set(before.attributes))
        for name, value in changed:
            # A mountpoint cannot be taken from what a running jail uses; readonly counts only once it is remounted.
            site.host.datasets.set(f"{site.pool}/releases/{after.name}", {name: value}, remount=name == "readonly")
        if not before.held:
            hold(site, f"{site.pool}/releases/{after.name}@sealed")


def is_packaged(source: Any) -> bool:
    """Whether a Release document (None where there is none) says that the release is made of packages."""
    return source is not None and source.method == "pkgbase"


def _seal(site: Site, dataset: str, wanted: Release, level: int, skipped: tuple[str, ...] = ()) -> None:
    """Make it a release: closed, and complete by one snapshot."""
    properties = {"reconciler:release": wanted.release, "reconciler:patch_level": str(level)}
    if skipped:
        properties["reconciler:skipped"] = " ".join(skipped)[:LONGEST]
    site.host.datasets.set(dataset, {"readonly": "on"})
    site.host.datasets.snapshot([f"{dataset}@sealed"], properties)
    hold(site, f"{dataset}@sealed")


def _checked(site: Site, path: str, wanted: Release) -> int:
    """The level as the tree says it: read, never executed. Raises HostError when it is another."""
    level = observed_level(site, path, wanted.release)
    if level != wanted.level:
        raise HostError(
            Diagnostic(
                "patch-level-unavailable",
                "The mirror does not have this patch level",
                f"{wanted.release} at patch level {wanted.level} was asked for; the tree says patch level {level}.",
                f"Write `patch_level: {level}`.",
            )
        )
    return level


def want(desired: Desired) -> Iterable[Release]:
    """Each release that a chain of jails that are not left alone starts from, once, and those only to be patched."""
    seen: set[str] = set()
    for allocation in (a for name, a in desired.allocated.items() if name not in desired.left):
        for release in (*allocation.chain.under, allocation.chain.release):
            if release.name not in seen:
                seen.add(release.name)
                yield release


def have(seen: Seen) -> Iterable[Release]:
    """Those that are sealed."""
    for path, row in seen.rows.items():
        if path.startswith("releases/") and path.endswith("@sealed") and row.user.get("patch_level", "").isdigit():
            name = path[len("releases/") : -len("@sealed")]
            level = int(row.user["patch_level"])
            closed = attributes(seen.rows[f"releases/{name}"])
            yield Release(name, level, attributes=closed, held=row.holds > 0)


def steps(before: Release | None, after: Release | None) -> Iterable[Action]:
    """Fetch or patch what is missing; what nobody wants stays until `reconcile gc`."""
    if before is None and after is not None:
        anew = InstallRelease if is_packaged(after.source) else FetchRelease
        yield PatchRelease(before, after) if after.base else anew(before, after)
    elif before is not None and after is not None and before.level == after.level:
        yield SetRelease(before, after)


def narrow(resource: Release, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its dataset."""
    return ((place.dataset(f"releases/{resource.name}"),), ())


def span(resource: Release, desired: Desired) -> Span | None:
    """The first jail's line that asks for it."""
    for name, allocation in desired.allocated.items():
        names = {release.name for release in (allocation.chain.release, *allocation.chain.under)}
        if resource.name in names and name in desired.specs.jails:
            return desired.specs.jails[name].place(("release",))
    return None


KIND = Kind(Release, want, have, steps, frozenset({"datasets"}), narrow, span=span)
