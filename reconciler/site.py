"""Where actions happen: a host, our place on it, and what the tool brings along."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from reconciler.cache import Cache, stream
from reconciler.download import PATIENT, Patience
from reconciler.kind import Place
from reconciler.model.command import Output
from reconciler.model.ports import FACETS, Facts, Host, Observed, Request
from reconciler.model.value import Ref
from reconciler.packages.layout import MANIFEST
from reconciler.packages.manifest import serialize
from reconciler.packages.signature import Trust
from reconciler.packages.store import Store
from reconciler.packages.supply import keep, supply, supply_file
from reconciler.packages.verify import ANYBODY, LARGEST, VerifiedPackage
from reconciler.releases.fetch import fetch, plan_fetch
from reconciler.releases.tag import SignedTag, Tags, Updates
from reconciler.spec.document import Release
from reconciler.spec.lock import PinnedFile
from reconciler.spec.select import PackageRef
from reconciler.wraps import retry

MAX_FILE = 1 << 30
"""Bytes that a file of an ADD may have."""
Progress = Callable[[int, int | None], None]


@dataclass
class LocalSite:
    """Implements `model.action.Site`. `parameters` and `extra_pools` complete every observation.

    `mirror` is for releases whose document names none; `updates` is where their tags and patches come from.
    """

    host: Host
    place: Place
    cache: Cache
    facts: Facts
    today: str
    mirror: str | None = None
    updates: Updates = field(default_factory=Updates)
    patience: Patience = PATIENT
    parameters: tuple[str, ...] = ()
    extra_pools: tuple[str, ...] = ()
    outputs: Callable[[Ref], Output] = lambda _ref: lambda _data: None
    progresses: Callable[[Ref], Progress] = lambda _ref: lambda _done, _total: None
    stop: threading.Event = field(default_factory=threading.Event)
    trust: Trust = ANYBODY
    largest: int = LARGEST
    _scratch: dict[str, Any] = field(default_factory=dict)

    @property
    def pool(self) -> str:
        """Our dataset."""
        return self.place.pool

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""
        return self.place.mountpoint

    @property
    def hostid(self) -> str:
        """The host's identity."""
        return self.place.hostid

    def request(self, facets: Iterable[str] = (), roots: Iterable[str] = (), below: Iterable[str] = ()) -> Request:
        """What an observation asks for; no facets means all."""
        chosen = frozenset(facets) or FACETS
        return Request(
            self.pool, self.mountpoint, chosen, tuple(roots), tuple(below), self.parameters, self.extra_pools
        )

    def observe(self, *facets: str, roots: Iterable[str] = (), below: Iterable[str] = ()) -> Observed:
        """Look at the host again."""
        request = self.request(facets, roots, below)
        return self.host.parse(request, self.host.observe(request))

    def output(self, ref: Ref) -> Output:
        """Where the output of a step's commands goes."""
        return self.outputs(ref)

    def progress(self, ref: Ref) -> Progress:
        """Told (done, total) in bytes."""
        return self.progresses(ref)

    def archive(self, want: Any, ref: Ref) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Verified archives, downloaded where the tool runs. Raises FetchError before anything is handed over.

        A jail package of format 2 comes with its manifest before it, under the manifest's name.
        """
        if isinstance(want, PackageRef):
            return self._told(want.name, self.package(want, ref), _file_name(want))
        if isinstance(want, str):
            return self._told(want, retry(lambda: supply(None, want, self.cache, self.store)))
        if isinstance(want, PinnedFile):
            told, asked = self.progress(ref), (want.url, want.sha256, self.cache, self.store)
            path = retry(lambda: supply_file(*asked, limit=MAX_FILE, progress=told, patience=self.patience))
            return iter([(want.url, stream(path, want.sha256))])
        return self._sets(want if isinstance(want, Release) else Release(name=ref.name.rpartition("-p")[0]), ref)

    def _told(
        self, name: str, package: VerifiedPackage, file: str = ""
    ) -> Iterator[tuple[str, Iterable[bytes]]]:
        """What `archive` gives of a package, which the store keeps from now on."""
        retry(lambda: keep(package, self.store, file))
        said = [(MANIFEST, [serialize(package.manifest)])] if package.manifest else []
        return iter([*said, (name, package.chunks())])

    def package(self, want: PackageRef, ref: Ref) -> VerifiedPackage:
        """A jail package, had and verified as a whole; see `packages.supply`. Nothing is made on the host."""
        source = None if want.source is None else str(want.source)
        asked, told = (source, want.digest, self.cache, self.store), self.progress(ref)
        most, how = self.largest, self.patience
        return retry(lambda: supply(*asked, trust=self.trust, progress=told, patience=how, largest=most))

    @property
    def store(self) -> Store:
        """The packages that the host keeps."""
        return Store(self.host, self.pool, self.mountpoint)

    def _sets(self, release: Release, ref: Ref) -> Iterator[tuple[str, Iterable[bytes]]]:
        if release.mirror is None and self.mirror is not None:
            release = release.model_copy(update={"mirror": self.mirror})
        plan = plan_fetch(release, self.facts.machine, self.facts.arch)
        fetched = retry(
            lambda: fetch(plan, self.cache, progress=self.progress(ref), patience=self.patience, unpacking=True)
        )
        near = not self.host.url.startswith("ssh:")  # expanded, they are three times the bytes
        return iter([(part.name, part.chunks(expanded=near)) for part in fetched.sets])

    @property
    def online(self) -> bool:
        """Whether the host may be asked to download."""
        return not self.patience.offline

    def tag(self, release: str, level: int = 0) -> SignedTag:
        """What freebsd-update's server says of a release; `level` is one known to exist. Raises FetchError."""
        asked = (release, self.facts.machine, self.today, level, self.patience)
        return retry(lambda: Tags(self.cache, self.updates).fetch(*asked))

    def has(self, sha256: str) -> bool:
        """Whether an archive is in the cache, or in the host's store."""
        return self.cache.find(sha256) is not None or sha256 in self.store.all()

    def keep(self, write: Callable[[IO[bytes]], str]) -> str:
        """Put an archive that is made now into the cache. Raises FetchError (`cache-unusable`, `cache-full`)."""
        return self.cache.take(write)

    def wait(self, seconds: float) -> None:
        """Let time pass, ended early by a stop."""
        self.stop.wait(seconds)

    def scratch(self) -> dict[str, Any]:
        """What steps of one run share."""
        return self._scratch


def _file_name(want: PackageRef) -> str:
    """What the archive of a package of the first format is called where it comes from."""
    return str(want.source or "").partition("?")[0].rpartition("/")[2]
