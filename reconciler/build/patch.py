"""Bring a tree that is being made to another patch level: fetch outside, install in a jail without network.

The work folder and the configuration are ours and made anew each time, so nothing that an earlier run or
anybody else left there counts. What the tree has become is read from it afterwards, whatever was said meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, FetchError, HostError
from reconciler.model.value import Ref
from reconciler.releases import freebsd_update
from reconciler.releases.freebsd_update import CONFIG, INSIDE
from reconciler.releases.tag import Tag, Updates, parse_tag
from reconciler.releases.version import Version, parse_version, read_userland_version
from reconciler.url import redact

INSTALLS = 3
"""How often `install` is run at most; it says when there is more to do, and patches need one."""
TIMEOUT = 3 * 3600.0
NOTHING = -1
"""The level of a tree in which nothing is yet."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tree shall become: `release` (no level) at `level`; `now` is what it is at.

    `updates` is who is asked; `sets` are those that the tree was made from; `here` the levels that the host has.
    """

    release: str
    level: int
    now: int
    updates: Updates
    sets: tuple[str, ...] = ("base",)
    here: tuple[int, ...] = ()

    @property
    def running(self) -> str:
        """The name of what the tree holds, as freebsd-version(1) writes it."""
        return _name(self.release, self.now)


@dataclass(frozen=True, slots=True)
class Patched:
    """What was done. `skipped` are files that were changed locally, and so left as they are."""

    level: int
    skipped: tuple[str, ...] = ()
    end_of_life: bool = False


def patch(site: Site, room: Workspace, wanted: Wanted, ref: Ref, *, base: str = "") -> Patched:
    """Patch the tree mounted at the room's place; no jail runs over it before and after.

    `base` is the tree that fetching looks into, by its path on the host, where it is not this one.

    Raises HostError: `patch-level-unavailable` before anything is installed, when the server's newest level is
    another; `update-fetch-failed`, `update-install-failed`, `update-server-unusable`, `release-unreadable`.
    """
    if not parse_version(wanted.release).patchable:
        raise HostError(_unpatchable(wanted))
    refuse_offline(site, wanted, wanted.updates.server)
    work = f"{room.work}/update"
    tree = base or room.path
    files = site.host.files
    files.clear(room.work)
    files.mkdir(work, 0o700)
    try:
        files.write(f"{work}/{CONFIG}", freebsd_update.config(wanted.updates, wanted.sets).encode())
        told = site.output(ref)
        asked = (tree, work, f"{work}/{CONFIG}", wanted.running)
        said = freebsd_update.fetched(site.host.patches.fetch(*asked, output=told))
        offered = _tag(site, work, wanted)
        if offered.patch != wanted.level or not freebsd_update.ready(site.host.patches.ready(*asked)):
            raise unavailable(wanted, offered.patch, wanted.updates.server)
        for _ in range(INSTALLS):
            _install(site, room, work, wanted, tree, ref)
            if not freebsd_update.ready(site.host.patches.ready(*asked)):
                break
    finally:
        files.clear(room.work)
    level = observed_level(site, room.path, wanted.release)
    if level != wanted.level:
        raise unavailable(wanted, level, wanted.updates.server)
    return Patched(level, said.skipped, said.end_of_life)


def _install(site: Site, room: Workspace, work: str, wanted: Wanted, tree: str, ref: Ref) -> None:
    """In a jail over the tree, with the work folder mounted into it by jail(8), which follows no link."""
    room.start(network=False, mount=f"{work} {room.path}{INSIDE} nullfs rw 0 0")
    try:
        script = freebsd_update.install_script().encode()
        argv = ("/bin/sh", "-s", "--", tree, wanted.running)
        freebsd_update.installed(room.exec(argv, stdin=script, output=site.output(ref), timeout=TIMEOUT))
    finally:
        room.stop()


def _unpatchable(wanted: Wanted) -> Diagnostic:
    return Diagnostic(
        "release-not-patched",
        "There are no patches for releases of this kind",
        f"{_name(wanted.release, wanted.level)} was asked for; builds of a branch and HardenedBSD's are not patched.",
        "Write `patch_level: 0`, or leave it out.",
    )


def refuse_offline(site: Site, wanted: Wanted, source: str) -> None:
    """Raises HostError (`download-denied`) where the host may not be asked to download from `source`."""
    if not site.online:
        detail = f"{_name(wanted.release, wanted.level)} is not on this host, and it comes from {redact(source)}."
        hint = "Leave out --offline, or set downloads: allow in the Host document's policy."
        raise HostError(Diagnostic("download-denied", "A download is not allowed", detail, hint))


def _tag(site: Site, work: str, wanted: Wanted) -> Tag:
    """The tag that freebsd-update verified and keeps beside what it fetched."""
    data = site.host.files.read(f"{work}/tag") or b""
    machine = data.split(b"|")[1].decode("latin-1") if data.count(b"|") else ""
    try:
        return parse_tag(data, wanted.release, machine, f"{work}/tag")
    except FetchError as error:
        raise HostError(error.diagnostics[0]) from error


def observed_level(site: Site, path: str, release: str) -> int:
    """The level that a tree on the host states in bin/freebsd-version: read, never run.

    Raises HostError (`release-unreadable`), also when it is another release.
    """
    text = site.host.files.read(f"{path}/bin/freebsd-version")
    if text is None:
        raise HostError(
            Diagnostic(
                "release-unreadable",
                "The unpacked release does not say what it is",
                f"{release}: there is no bin/freebsd-version in it.",
                "Check that `sets` holds `base` and that the mirror serves a FreeBSD release.",
            )
        )
    try:
        found: Version = read_userland_version(text)
    except FetchError as error:
        raise HostError(error.diagnostics[0]) from error
    if found.release != release:
        raise HostError(
            Diagnostic(
                "release-unreadable",
                "The unpacked release does not say what it is",
                f"{release} was expected; the tree says {found}.",
                "Use another mirror.",
            )
        )
    return found.level


def unavailable(wanted: Wanted, offered: int, source: str) -> HostError:
    """The error of a level that is nowhere, with those that are somewhere. `source` leads to the level `offered`."""
    here = sorted({*wanted.here, wanted.now} - {NOTHING})
    there = [f"{_name(wanted.release, level)} is on this host" for level in here]
    if offered not in here:
        there.append(f"{_name(wanted.release, offered)} is what {redact(source)} leads to")
    return HostError(
        Diagnostic(
            "patch-level-unavailable",
            "There is no such patch level",
            f"{_name(wanted.release, wanted.level)} was asked for. {'; '.join(there)}. "
            "FreeBSD's servers lead to the newest level alone.",
            f"Write `patch_level: {max(offered, *here)}`.",
        )
    )


def _name(release: str, level: int) -> str:
    return f"{release}-p{level}" if level else release


def lines(patched: Patched, what: str) -> Iterable[str]:
    """What a person should read about it."""
    if patched.end_of_life:
        yield f"warning: {what} is past its end of life; newer problems stay."
    for path in patched.skipped:
        yield f"skipped: {path} was changed locally and is left as it is."
