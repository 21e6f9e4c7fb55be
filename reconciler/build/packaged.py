"""A base system made of packages: brought to another patch level, or made anew, from a repository that is verified.

The host's pkg(8) asks the repository, outside, with databases and keys in a work folder of ours, made anew each time.
What it fetched becomes a repository in that folder, from which a jail without network over the tree is upgraded by the
host's pkg: nothing of the tree says whom to trust, and no path in it leads out. What the tree has become is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.build.patch import Patched, Wanted, observed_level, refuse_offline, unavailable
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import Offer
from reconciler.model.value import Ref
from reconciler.releases import pkgbase
from reconciler.releases.pkgbase import INSIDE, NAME, Repository
from reconciler.releases.version import parse_version
from reconciler.spec.lock import abi_of

KEPT = ".pkgnew"
"""What pkg(8) puts the new text of a configuration file into, where it could not merge it with a changed one."""
SKIPPED_LIMIT = 200
_CONFIGURED = frozenset({"etc", "root"})
_CATALOGUES = (f"/var/db/pkg/repos/{NAME}", f"/var/db/pkg/repo-{NAME}.sqlite", f"/var/db/pkg/{NAME}.meta")


def packages_of(site: Site, room: Workspace) -> Mapping[str, str]:
    """Versions by name of what is installed in the tree at the room's place; nothing where its base is not packages.

    The tree is asked from inside a jail of its own. Where pkg cannot say, freebsd-update looks as well.
    """
    if pkgbase.DATABASE not in site.host.files.names(f"{room.path}/var/db/pkg"):
        return {}
    room.start(network=False)
    try:
        found = site.host.base.installed(room.jail)
    except HostError as error:
        if error.diagnostics[0].code not in ("pkgbase-fetch-failed", "command-missing"):
            raise
        return {}
    finally:
        room.stop()
    return found if pkgbase.is_packaged(found) else {}


def upgrade(site: Site, room: Workspace, wanted: Wanted, before: Mapping[str, str], ref: Ref) -> Patched:
    """Upgrade the base packages (`before`: versions by name) of the tree at the room's place.

    Raises HostError: `patch-level-unavailable` and `pkgbase-repository-older` before anything is installed, when the
    repository is at another level; `pkgbase-*`; `release-unreadable`.
    """
    work, told = f"{room.work}/base", site.output(ref)
    try:
        source = _Source(site, work, wanted)
        offered = source.catalogue(ref)
        names = pkgbase.changed(before, offered)
        source.fetch(names, ref)
        room.start(network=False, mount=f"{work} {room.path}{INSIDE} nullfs ro 0 0")
        try:
            pkgbase.installed(site.host.base.upgrade(room.jail, source.abi, output=told))
            _complete(site.host.base.installed(room.jail), offered, names)
            skipped = _kept(site, room)
            room.exec(("/bin/rm", "-rf", "--", *_CATALOGUES))
        finally:
            room.stop()
    finally:
        site.host.files.clear(room.work)
    return Patched(_reached(site, room, wanted, source), skipped)


def install(site: Site, room: Workspace, wanted: Wanted, ref: Ref) -> int:
    """Make a base system of the sets in `wanted` in the empty tree at the room's place; the level that it says.

    Raises HostError as `upgrade`, and `set-unknown`.
    """
    work = f"{room.work}/base"
    try:
        source = _Source(site, work, wanted)
        offered = source.catalogue(ref)
        sets = tuple(pkgbase.set_package(name) for name in wanted.sets)
        _known(sets, offered, source.found)
        names = pkgbase.changed({}, offered, sets)
        source.fetch(names, ref)
        told = site.output(ref)
        pkgbase.installed(site.host.base.install(room.path, work, source.abi, sets, output=told))
    finally:
        site.host.files.clear(room.work)
    _complete(packages_of(site, room), offered, names)
    return _reached(site, room, wanted, source)


class _Source:
    """The repository, and the folder in which it is worked with."""

    def __init__(self, site: Site, work: str, wanted: Wanted) -> None:
        """Write what pkg needs. Raises HostError (`pkgbase-untrusted`, `download-denied`)."""
        facts = site.observe("facts").facts
        self.site, self.work, self.wanted = site, work, wanted
        self.abi = abi_of(wanted.release, facts.arch if facts is not None else "")
        self.found: Repository = pkgbase.repository(wanted.updates, wanted.release, self.abi)
        refuse_offline(site, wanted, self.found.url)
        files = site.host.files
        files.clear(work.rpartition("/")[0])
        for path, data in pkgbase.files(self.found, work).items():
            files.mkdir(f"{work}/{path}".rpartition("/")[0], 0o755)
            files.write(f"{work}/{path}", data, 0o644)

    def catalogue(self, ref: Ref) -> Mapping[str, Offer]:
        """What there is, when it is what is wanted."""
        base, wanted = self.site.host.base, self.wanted
        pkgbase.fetched(base.update(self.work, self.abi, output=self.site.output(ref)))
        offered = base.offered(self.work, self.abi)
        level = pkgbase.newest({one.name: one.version for one in offered.values()}, wanted.release, self.found.url)
        known = (*wanted.here, wanted.now)
        if pkgbase.is_older(level, known):
            raise pkgbase.older(self.found, parse_version(wanted.release).at(level), max(known))
        if level != wanted.level:
            raise unavailable(wanted, level, self.found.url)
        return offered

    def fetch(self, names: Iterable[str], ref: Ref) -> None:
        """Have packages in the folder, verified."""
        told = self.site.output(ref)
        if names:
            pkgbase.fetched(self.site.host.base.fetch(self.work, self.abi, tuple(names), output=told))


def _reached(site: Site, room: Workspace, wanted: Wanted, source: _Source) -> int:
    level = observed_level(site, room.path, wanted.release)
    if level != wanted.level:
        raise unavailable(wanted, level, source.found.url)
    return level


def _complete(installed: Mapping[str, str], offered: Mapping[str, Offer], names: Iterable[str]) -> None:
    """Whether everything that was fetched is installed now: pkg may end well and leave some out."""
    left = [name for name in names if installed.get(name) != offered[name].version]
    if left:
        raise HostError(
            Diagnostic(
                "pkgbase-install-failed",
                "Base packages could not be installed",
                f"pkg ended well, and these are not installed as the catalogue has them: {', '.join(left[:10])}.",
                "What was being made is discarded by the next run, which begins anew. Run the command again.",
            )
        )


def _kept(site: Site, room: Workspace) -> tuple[str, ...]:
    """Configuration files that were left as they are: those with a new text beside them. No link is followed."""
    tops = sorted(_CONFIGURED & set(site.host.files.names(room.path)))
    found = [f"/{top}/{name}" for top in tops for name in site.host.files.listed(f"{room.path}/{top}", "f")]
    kept = {name.removesuffix(KEPT) for name in found if name.endswith(KEPT) and name.isprintable()}
    return tuple(sorted(kept))[:SKIPPED_LIMIT]


def _known(sets: Iterable[str], offered: Mapping[str, Offer], found: Repository) -> None:
    missing = [name for name in sets if name not in offered]
    if missing:
        prefix = pkgbase.set_package("")
        there = ", ".join(sorted(name.removeprefix(prefix) for name in offered if name.startswith(prefix))) or "none"
        raise HostError(
            Diagnostic(
                "set-unknown",
                "The release has no such set",
                f"{found.url} has no {', '.join(missing)}. Its sets: {there}.",
                "Change `sets` of the Release document.",
            )
        )
