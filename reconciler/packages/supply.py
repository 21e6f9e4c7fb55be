"""Having a package for a host: from where its spec says, else from what the host keeps; and keeping it there.

So a build goes on working when a server has gone, or forgets a version.
"""

from __future__ import annotations

from pathlib import Path

from reconciler.cache import Cache, bare_digest
from reconciler.download import PATIENT, DownloadError, Patience, Progress, fetch
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.signature import Trust, read_signature
from reconciler.packages.store import Note, Store, archive_pieces, note_of
from reconciler.packages.verify import ANYBODY, LARGEST, VerifiedPackage, kept, verify


def supply(
    source: str | None,
    digest: str,
    cache: Cache,
    store: Store,
    *,
    trust: Trust = ANYBODY,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    largest: int = LARGEST,
) -> VerifiedPackage:
    """A verified package. Without a source it has to be in the store; with one, the store is what is left when the
    source cannot be had. Raises FetchError as `verify.verify`, and `package-not-stored`; HostError as `Store`.
    """
    if source is None:
        return _stored(digest, cache, store, trust)
    try:
        here = Path.cwd()
        return verify(source, digest, here, cache, trust=trust, progress=progress, patience=patience, largest=largest)
    except DownloadError:
        if store.get(digest, cache) is None:
            raise
        return _stored(digest, cache, store, trust)


def supply_file(
    url: str,
    sha256: str,
    cache: Cache,
    store: Store,
    *,
    limit: int,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
) -> Path:
    """A file that a lock pins, and that the store keeps from then on: from its URL, else from there.

    Raises FetchError as `download.fetch`, HostError as `Store`.
    """
    try:
        path = fetch(url, sha256, cache, limit=limit, progress=progress, patience=patience)
    except DownloadError:
        found = store.get(sha256, cache)
        if found is None:
            raise
        return found
    name = url.partition("?")[0].rpartition("/")[2] or "file"
    store.put(sha256, archive_pieces(path), Note(name, path.stat().st_size))
    return path


def keep(package: VerifiedPackage, store: Store, file: str = "") -> None:
    """Put a verified package into the store; fine where it is there. Raises HostError."""
    file = package.file if package.manifest else file or package.file
    note = note_of(file, package.size, package.manifest, read_signature(package.path))
    store.put(package.sha256, archive_pieces(package.path), note)


def _stored(digest: str, cache: Cache, store: Store, trust: Trust) -> VerifiedPackage:
    sha256 = bare_digest(digest)
    found = kept(cache, sha256, f"sha256:{sha256}", trust=trust)
    if found is None and store.get(sha256, cache) is not None:
        found = kept(cache, sha256, f"sha256:{sha256}", trust=trust)
    if found is None:
        raise FetchError(
            Diagnostic(
                "package-not-stored",
                "The package is not in the host's store",
                f"Nothing there has the SHA256 {sha256}, and the spec does not say where it lies.",
                "Put it there: reconcile package pull FILE-OR-URL; or write `source:` beside its digest.",
            )
        )
    return found
