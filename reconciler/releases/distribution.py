"""For people who script: which releases there are, how long they are supported, and fetching them.

    >>> from reconciler.releases.distribution import Distribution
    >>> freebsd = Distribution(host="15.1-RELEASE-p1")
    >>> [release.name for release in freebsd.releases]
    ['13.5-RELEASE', '14.4-RELEASE', '15.0-RELEASE', '15.1-RELEASE']
    >>> release = freebsd.release("15.1-RELEASE")
    >>> release.eol, str(release.support), release.newer_than_host
    (False, 'supported until 2027-03-31', False)
    >>> [part.path for part in release.fetch(("base",)).sets]       # verified files in the cache
    [PosixPath('/home/me/.cache/reconciler/downloads/5f9c...')]

Nothing here needs a host or root: what is fetched lies in the cache of downloads. Putting a release into a
pool is what `reconcile release fetch` does on top.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial

from reconciler.cache import Cache, default_folder
from reconciler.download import PATIENT, Patience, Progress
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.releases import catalog
from reconciler.releases.eol import Support, support
from reconciler.releases.fetch import FetchedSets, fetch, plan_fetch
from reconciler.releases.tag import SignedTag, Tags, Updates
from reconciler.releases.url import ARCHIVE_MIRROR
from reconciler.releases.version import Version, parse_version
from reconciler.spec.document import Release as Document
from reconciler.spec.document import Trust
from reconciler.today import today
from reconciler.wraps import retry

LOOKUPS = 8
"""Lookups of tags at the same time."""
ATTEMPTS = 2
"""Tries of a lookup: whoever asks for a list is waiting, and unknown is an answer."""


@dataclass(frozen=True)
class Release:
    """A release of a distribution: `name` as on its mirror, `offered` where it is (none when nobody lists it).

    `tag` is the newest signed tag known of it, None where there is none; `support` says what follows from it.
    """

    name: str
    distribution: Distribution = field(repr=False, compare=False)
    offered: tuple[catalog.Offered, ...] = ()
    tag: SignedTag | None = field(default=None, repr=False)
    support: Support = field(default=Support("unknown"))

    @property
    def version(self) -> Version | None:
        """Its numbers; None for names that are none of FreeBSD's, such as HardenedBSD's 15-STABLE."""
        return _version(self.name)

    @property
    def eol(self) -> bool | None:
        """Whether its life has ended; None where nobody knows. Never False because a lookup failed."""
        return None if self.support.state == "unknown" else self.support.state == "eol"

    @property
    def newest_level(self) -> int | None:
        """The newest patch level that its signed tag names; None where there is no tag."""
        return None if self.tag is None else self.tag.tag.patch

    @property
    def newer_than_host(self) -> bool | None:
        """Whether it is newer than the host's release, by numbers; None where one of them has none."""
        host = _version(self.distribution.host)
        if host is None or self.version is None:
            return None
        return parse_version(self.version.release) > parse_version(host.release)

    @property
    def archived(self) -> bool:
        """Whether it is in the archive only. FreeBSD's is plain http: `trust` must be pinned or manifests-dir."""
        return bool(self.offered) and all(place.archived for place in self.offered)

    def fetch(
        self, sets: Iterable[str] = ("base",), *, trust: Trust | None = None, progress: Progress | None = None
    ) -> FetchedSets:
        """Have sets in the cache, verified; what is there already is hashed again and used.

        `progress` is told (bytes done, bytes in all or None), in the thread of the caller. Transient failures
        are tried again, and go on where they stopped. Raises FetchError; see `releases.fetch.fetch`. A branch that
        HardenedBSD lists (15-STABLE) is fetched by the name of its build: `release("15.1-STABLE-HBSD")`.
        """
        whose = self.distribution
        parse_version(self.name)
        mirror = whose.mirror or (ARCHIVE_MIRROR if self.archived else None)
        document = Document(name=self.name, mirror=mirror, sets=tuple(sets), trust=trust or Trust())
        plan = plan_fetch(document, whose.machine, whose.arch)
        return retry(lambda: fetch(plan, whose.cache, progress=progress, patience=whose.patience))


@dataclass
class Distribution:
    """FreeBSD or HardenedBSD as seen from one kind of machine.

    `machine` and `arch` are what `uname -m` and `uname -p` say (arm64 and aarch64); `host` is the host's release,
    such as 15.1-RELEASE-p1, for `newer_than_host`. `mirror` replaces the distribution's own and its archive.
    `today` freezes the date that ends of life are compared with.
    """

    name: catalog.Layout = "FreeBSD"
    machine: str = "amd64"
    arch: str = "amd64"
    host: str = ""
    mirror: str | None = None
    updates: Updates = field(default_factory=Updates)
    cache: Cache = field(default_factory=lambda: Cache(default_folder(os.environ)))
    patience: Patience = PATIENT
    today: date = field(default_factory=today)
    problems: list[Diagnostic] = field(default_factory=list)
    """What could not be looked up so far, each as a warning; releases that it concerns are unknown, or missing."""

    @cached_property
    def releases(self) -> tuple[Release, ...]:
        """Every release that the mirror and its archive list, the oldest first; looked up once.

        Raises FetchError only when nothing at all could be listed.
        """
        found = self._listed()
        return self.described(found, found)

    def release(self, name: str) -> Release:
        """One release by name, whether or not it is listed. Raises FetchError (`release-name-malformed`)."""
        if self.name == "FreeBSD":
            name = parse_version(name).release
        listed = self.__dict__.get("releases", ())
        return next((item for item in listed if item.name == name), None) or self.described((name,), {})[0]

    def described(
        self, names: Iterable[str], offered: dict[str, tuple[catalog.Offered, ...]] | None = None
    ) -> tuple[Release, ...]:
        """Releases with their tags and support, the oldest first; tags are asked for side by side."""
        known = sorted(set(names), key=_order)
        with ThreadPoolExecutor(LOOKUPS) as pool:
            tags = list(pool.map(self._tag, known))
        return tuple(
            Release(name, self, (offered or {}).get(name, ()), tag, self._support(name, tag))
            for name, tag in zip(known, tags, strict=True)
        )

    def _listed(self) -> dict[str, tuple[catalog.Offered, ...]]:
        found: dict[str, tuple[catalog.Offered, ...]] = {}
        errors: list[FetchError] = []
        for source in catalog.sources(self.mirror, self.name):
            try:
                listed = retry(partial(catalog.look, source, self.machine, self.arch, self.patience), attempts=ATTEMPTS)
            except FetchError as error:
                errors.append(error)
                continue
            for item in listed:
                found[item.name] = (*found.get(item.name, ()), item)
        if not found:
            raise FetchError([diagnostic for error in errors for diagnostic in error.diagnostics])
        self.problems.extend(_warning(diagnostic) for error in errors for diagnostic in error.diagnostics)
        return found

    def _tag(self, name: str) -> SignedTag | None:
        """The newest tag: asked for where it could say something new, else the one that is known."""
        version = _version(name)
        if self.name != "FreeBSD" or version is None or version.branch in ("STABLE", "CURRENT"):
            return None
        tags = Tags(self.cache, self.updates)
        known = tags.known(name, self.machine)
        if self.patience.offline and not self.updates.server.startswith("file:"):
            return known
        if self._support(name, known).state == "eol":
            return known  # an end that has passed does not come back
        try:
            ask = partial(tags.fetch, name, self.machine, self.today.isoformat(), patience=self.patience)
            return retry(ask, attempts=ATTEMPTS)
        except FetchError as error:
            self.problems.extend(_warning(diagnostic) for diagnostic in error.diagnostics)
            return known

    def _support(self, name: str, tag: SignedTag | None) -> Support:
        return support(name, self.today, tag) if self.name == "FreeBSD" else Support("unknown")


def _version(name: str) -> Version | None:
    try:
        return parse_version(name)
    except FetchError:
        return None


def _order(name: str) -> tuple[bool, Version, str]:
    """By numbers; names without any come last, by the alphabet."""
    version = _version(name)
    return version is None, version or Version(1, 0), name


def _warning(diagnostic: Diagnostic) -> Diagnostic:
    return Diagnostic(
        diagnostic.code, diagnostic.summary, diagnostic.detail, diagnostic.hint, diagnostic.span, "warning"
    )
