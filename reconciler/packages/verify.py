"""Jail packages of the first format: a bare tar archive, told by its SHA256, applied by unpacking.

Nothing here touches a host. A verified package lies in the cache; the layer's action streams it into
`tar -xpf - -C /` of a short-lived jail over the new layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from reconciler.cache import Cache, bare_digest, stream
from reconciler.download import PATIENT, Patience, Progress, fetch
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.archive import PACKAGE, Limits, Summary
from reconciler.packages.checked import check_cached
from reconciler.url import redact

SIZE_LIMIT = 16 * 1024**3
"""Bytes of a package as it lies on a server."""


@dataclass(frozen=True, slots=True)
class VerifiedPackage:
    """A package whose digest and members were seen to be good. `size` is in bytes, as compressed."""

    path: Path
    sha256: str
    size: int
    summary: Summary

    def chunks(self) -> Iterator[bytes]:
        """Its bytes for the host's tar, hashed once more; see `cache.stream`."""
        return stream(self.path, self.sha256)


def verify(
    source: str,
    digest: str,
    base_dir: Path,
    cache: Cache,
    *,
    limits: Limits = PACKAGE,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
) -> VerifiedPackage:
    """Have a package in the cache, its digest seen before anything of it is read, then its members.

    `source` is a path relative to `base_dir` (the folder of the document), a file: or an http(s): URL;
    the digest is what is trusted, so plain http: will do. Raises FetchError: what `download.fetch` and
    `archive.check_archive` raise, and `package-source` for a source that is none of these.
    """
    sha256 = bare_digest(digest)
    path = fetch(source_url(source, base_dir), sha256, cache, limit=SIZE_LIMIT, progress=progress, patience=patience)
    return VerifiedPackage(path, sha256, path.stat().st_size, check_cached(cache, sha256, limits))


def source_url(source: str, base_dir: Path) -> str:
    """The URL of a package's source. Raises FetchError (`package-source`)."""
    scheme = urlsplit(source).scheme if "://" in source or source.startswith("file:") else ""
    if scheme in ("http", "https", "file"):
        return source
    if scheme or not source or "\0" in source:
        raise FetchError(
            Diagnostic(
                "package-source",
                "A package's source cannot be used",
                f"{redact(source)[:200]!a} is neither a path nor a file:, http: or https: URL.",
                "Write it like source: ../packages/nginx-1.28.txz",
            )
        )
    return "file://" + quote(str((base_dir / source).absolute()))
