"""Fetching the sets of a release: MANIFEST by its trust, each set by MANIFEST, each member by its name.

Nothing is handed out before all three hold. A set that does not match is never unpacked: MANIFEST is
read once more, because a mirror may be in the middle of an update, and only a MANIFEST that has
changed earns a second try. Transient failures pass through; `wraps.retry` around `fetch` goes on from
the partial download.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.cache import Cache, bare_digest, mismatch, open_regular, stream
from reconciler.download import PATIENT, Patience, Progress, fetch_bytes
from reconciler.download import fetch as download
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.archive import SET, Summary
from reconciler.packages.checked import check_cached, checked_stream, first, known_summary
from reconciler.releases.manifest import SIZE_LIMIT, Entry, Manifest, parse
from reconciler.releases.url import check_mirror, release_url
from reconciler.releases.version import Version, parse_version, read_userland_version
from reconciler.spec.document import Release, Trust

SET_LIMIT = 4 * 1024**3
"""Bytes of one set on a mirror; src.txz, the largest, has 220 MB."""
USERLAND = "bin/freebsd-version"
MANIFESTS = "/usr/local/share/freebsd/MANIFESTS"
"""Where the package misc/freebsd-release-manifests installs its copies."""


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What is to be fetched from where, and what makes it trusted. Made by `plan_fetch`."""

    version: Version
    machine: str
    arch: str
    mirror: str | None
    sets: tuple[str, ...]
    trust: Trust

    def url(self, file: str) -> str:
        """The URL of a file of this release."""
        return release_url(self.mirror, self.machine, self.arch, self.version.release, file)


@dataclass(frozen=True, slots=True)
class FetchedSet:
    """One verified set in the cache. `size` is in bytes, as compressed.

    `summary` is None where its members have not been judged yet: then that is done on their way to tar.
    """

    name: str
    path: Path
    sha256: str
    size: int
    summary: Summary | None
    cache: Cache

    def chunks(self, *, expanded: bool = False) -> Iterator[bytes]:
        """Its bytes for the host's tar, which never sees a member that was not judged. Raises FetchError.

        With `expanded` a set that is judged on its way comes expanded: right for a tar on the same machine.
        """
        if self.summary is None:
            return checked_stream(self.cache, self.sha256, SET, (USERLAND,), expanded=expanded)
        return open_set(self.path, self.sha256)


@dataclass(frozen=True, slots=True)
class FetchedSets:
    """All sets of a release, in the order asked for. `manifest` is the SHA256 of MANIFEST.

    `level` is the patch level that the base set states, None when base was not asked for.
    """

    version: Version
    manifest: str
    sets: tuple[FetchedSet, ...]
    level: int | None


def plan_fetch(release: Release, machine: str, arch: str) -> FetchPlan:
    """What fetching a release means on a host of this kind (`uname -m`, `uname -p`); no I/O.

    Raises FetchError: `release-name-malformed`, `mirror-url-malformed`, `mirror-untrusted`,
    `trust-incomplete` (pinned without a digest).
    """
    version = parse_version(release.name)
    check_mirror(release.mirror, release.trust.policy)
    if release.trust.policy == "pinned" and release.trust.digest is None:
        raise FetchError(
            Diagnostic(
                "trust-incomplete",
                "A pinned release has no digest",
                f"The document of {release.name} says trust: pinned and gives no digest of MANIFEST.",
                "trust: {policy: pinned, digest: sha256:...}",
            )
        )
    plan = FetchPlan(version, machine, arch, release.mirror, tuple(release.sets), release.trust)
    plan.url("MANIFEST")
    return plan


def fetch(
    plan: FetchPlan,
    cache: Cache,
    *,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    unpacking: bool = False,
) -> FetchedSets:
    """Have every set of a plan in the cache, verified and checked.

    With `unpacking` sets that are new are only read as far as the base set's version, and each member is judged
    right before tar gets it (`FetchedSet.chunks`): an archive is expanded once less.

    Raises DownloadError (see `download.fetch`) and FetchError: `manifest-malformed`,
    `digest-mismatch`, `set-unknown`, `archive-*`, `release-mismatch`, `userland-version-unreadable`.
    """
    data = read_manifest(plan, patience, cache)
    try:
        return _fetch_all(plan, data, cache, progress, patience, unpacking=unpacking)
    except FetchError as error:
        if error.diagnostics[0].code != "digest-mismatch":
            raise
        again = read_manifest(plan, patience, cache)
        if again == data:
            raise
    return _fetch_all(plan, again, cache, progress, patience, unpacking=unpacking)


def read_manifest(plan: FetchPlan, patience: Patience = PATIENT, cache: Cache | None = None) -> bytes:
    """The trusted MANIFEST: from the mirror, the mirror's when it has the pinned digest, or installed.

    Offline it is the one of this mirror that the last good fetch left in the cache.
    """
    if plan.trust.policy == "manifests-dir":
        return _installed_manifest(plan)
    url = plan.url("MANIFEST")
    kept = _kept_manifest(plan, cache) if patience.offline and cache is not None else None
    data = kept or fetch_bytes(url, limit=SIZE_LIMIT, patience=patience)
    if plan.trust.policy == "pinned":
        actual = hashlib.sha256(data).hexdigest()
        expected = bare_digest(plan.trust.digest or "")
        if actual != expected:
            raise FetchError(mismatch(url, expected, actual))
    return data


def level_of(plan: FetchPlan, cache: Cache) -> int | None:
    """The patch level of the base set that an earlier fetch left in the cache; None when there is none.

    Needs no network and reads a few kilobytes, so a plan may ask. It says what was fetched, not
    what the mirror has now.
    """
    try:
        entry = parse(_kept_manifest(plan, cache) or b"").find("base")
        if entry is None or not cache.path(entry.sha256).is_file():
            return None
        summary = known_summary(cache, entry.sha256, SET, (USERLAND,))
        return _level(plan, _script(cache, entry.sha256, summary))
    except (OSError, FetchError):
        return None


def open_set(path: Path, sha256: str | None = None) -> Iterator[bytes]:
    """A verified set in chunks of 1 MiB, for the standard input of the host's tar.

    It is hashed once more on its way (its name in the cache is its digest), and the last chunk
    is withheld until the digest is right. Raises FetchError (`digest-mismatch`, `cache-unusable`).
    """
    return stream(path, path.name if sha256 is None else sha256)


def _fetch_all(
    plan: FetchPlan, data: bytes, cache: Cache, progress: Progress | None, patience: Patience, *, unpacking: bool
) -> FetchedSets:
    manifest = parse(data, plan.url("MANIFEST"))
    entries = _entries(plan, manifest)
    fetched = []
    level = None
    for entry in entries:
        path = download(
            plan.url(entry.file), entry.sha256, cache, limit=SET_LIMIT, progress=progress, patience=patience
        )
        see = known_summary if unpacking else check_cached
        summary = see(cache, entry.sha256, SET, (USERLAND,))
        if entry.name == "base":
            level = _level(plan, _script(cache, entry.sha256, summary))
        fetched.append(FetchedSet(entry.name, path, entry.sha256, path.stat().st_size, summary, cache))
    # Kept only after everything held, for `level_of`.
    cache.put(_manifest_path(plan, cache), data)
    return FetchedSets(plan.version, hashlib.sha256(data).hexdigest(), tuple(fetched), level)


def _entries(plan: FetchPlan, manifest: Manifest) -> list[Entry]:
    found = {name: manifest.find(name) for name in plan.sets}
    missing = [name for name, entry in found.items() if entry is None]
    if missing:
        raise FetchError(_unknown_set(plan, name, [e.name for e in manifest.entries]) for name in missing)
    return [entry for entry in found.values() if entry is not None]


def _script(cache: Cache, sha256: str, summary: Summary | None) -> bytes:
    """The text that says what a base set is: as its check found it, else as far in as it stands."""
    return summary.captured.get(USERLAND, b"") if summary else first(cache, sha256, SET, USERLAND)


def _level(plan: FetchPlan, script: bytes) -> int:
    """The level that the base set's script states; a base of another release is refused."""
    stated = read_userland_version(script)
    if stated.release != plan.version.release:
        moved = plan.version.vendor == stated.vendor != ""
        hint = f"Write `release: {stated.release}`." if moved else "Use another mirror."
        raise FetchError(
            Diagnostic(
                "release-mismatch",
                "The mirror has another release under this name",
                f"{plan.url('base.txz')} is {stated}, not {plan.version.release}.",
                hint,
            )
        )
    return stated.level


def _installed_manifest(plan: FetchPlan) -> bytes:
    """The installed copy, named as bsdinstall(8) looks for it: MACHINE-ARCH-RELEASE."""
    folder = Path(plan.trust.directory or MANIFESTS)
    path = folder / f"{plan.machine}-{plan.arch}-{plan.version.release}"
    try:
        with open_regular(path, follow=True) as file:
            return file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise FetchError(
            Diagnostic(
                "manifest-not-installed",
                "There is no installed MANIFEST of this release",
                f"{path}: {error.strerror or error}.",
                "pkg install freebsd-release-manifests",
            )
        ) from error


def _kept_manifest(plan: FetchPlan, cache: Cache) -> bytes | None:
    try:
        with open_regular(_manifest_path(plan, cache)) as file:
            return file.read(SIZE_LIMIT + 1)
    except OSError:
        return None


def _manifest_path(plan: FetchPlan, cache: Cache) -> Path:
    return cache.folder / f"manifest-{hashlib.sha256(plan.url('MANIFEST').encode()).hexdigest()}"


def _unknown_set(plan: FetchPlan, name: str, names: list[str]) -> Diagnostic:
    close = difflib.get_close_matches(name, names, n=1)
    return Diagnostic(
        "set-unknown",
        "The release has no such set",
        f"{plan.version.release} on {plan.url('MANIFEST')} has no set {name!r}. It has: {', '.join(names)}.",
        f"Did you mean {close[0]}?" if close else "Change `sets` of the Release document.",
    )
