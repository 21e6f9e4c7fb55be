"""A release at a patch level: fetched, verified, unpacked, and sealed by one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from reconciler.build.workspace import Workspace
from reconciler.kind import SEALED, Desired, Kind, Place, Seen, attributes, make_dataset
from reconciler.model.action import Action, Site
from reconciler.model.diagnostic import Diagnostic, HostError, Span
from reconciler.model.value import Ref, Resource
from reconciler.releases.version import read_userland_version


@dataclass(frozen=True, slots=True)
class Release(Resource):
    """A sealed release by `15.1-RELEASE-p0`. `source` is what the mirror is asked for."""

    kind: ClassVar[str] = "release"
    level: int = 0
    source: Any = field(default=None, compare=False)
    attributes: tuple[tuple[str, str], ...] = SEALED

    def needs(self) -> frozenset[Ref]:
        """The container, and a clean place to work."""
        return frozenset({Ref("dataset", "releases"), Ref("workplace", "build")})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"patch level": str(self.level), **dict(self.attributes)}


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
        with Workspace(site, dataset) as room:
            room.discard_unfinished()
            make_dataset(site, dataset, {"mountpoint": "legacy", "canmount": "noauto"})
            room.mount()
            for _name, chunks in sets:
                site.host.files.extract(chunks, room.path)
            level = _observed_level(site, room.path, wanted)
        site.host.datasets.set(dataset, {"readonly": "on"})
        site.host.datasets.snapshot(
            [f"{dataset}@sealed"],
            {"reconciler:release": wanted.name.rpartition("-p")[0], "reconciler:patch_level": str(level)},
        )
        site.host.datasets.hold("reconciler", f"{dataset}@sealed")


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


def _observed_level(site: Site, path: str, wanted: Release) -> int:
    """The level as the tree says it: read, never executed. Raises HostError when it is another."""
    text = site.host.files.read(f"{path}/bin/freebsd-version")
    if text is None:
        raise HostError(
            Diagnostic(
                "release-unreadable",
                "The unpacked release does not say what it is",
                f"{wanted.name}: there is no bin/freebsd-version in it.",
                "Check that `sets` holds `base` and that the mirror serves a FreeBSD release.",
            )
        )
    found = read_userland_version(text)
    level = found.level
    release = wanted.name.rpartition("-p")[0]
    if (found.release, level) != (release, wanted.level):
        raise HostError(
            Diagnostic(
                "patch-level-unavailable",
                "The mirror does not have this patch level",
                f"{release} at patch level {wanted.level} was asked for; "
                f"the tree says {found.release} at patch level {level}.",
                f"Write `patch_level: {level}`.",
            )
        )
    return level


def want(desired: Desired) -> Iterable[Release]:
    """Each release that a jail's chain starts from, once."""
    seen: set[str] = set()
    for allocation in desired.allocated.values():
        release: Release = allocation.chain.release
        if release.name not in seen:
            seen.add(release.name)
            yield release


def have(seen: Seen) -> Iterable[Release]:
    """Those that are sealed."""
    for path, row in seen.rows.items():
        if path.startswith("releases/") and path.endswith("@sealed") and row.user.get("patch_level", "").isdigit():
            name = path[len("releases/") : -len("@sealed")]
            level = int(row.user["patch_level"])
            yield Release(name, level, attributes=attributes(seen.rows[f"releases/{name}"]))


def steps(before: Release | None, after: Release | None) -> Iterable[Action]:
    """Fetch what is missing; what nobody wants stays until `reconcile gc`."""
    if before is None:
        yield FetchRelease(before, after)
    elif after is not None and before.level == after.level:
        yield SetRelease(before, after)


def narrow(resource: Release, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its dataset."""
    return ((place.dataset(f"releases/{resource.name}"),), ())


def span(resource: Release, desired: Desired) -> Span | None:
    """The first jail's line that asks for it."""
    for name, allocation in desired.allocated.items():
        if allocation.chain.release.name == resource.name and name in desired.specs.jails:
            return desired.specs.jails[name].place(("release",))
    return None


KIND = Kind(Release, want, have, steps, frozenset({"datasets"}), narrow, span=span)
