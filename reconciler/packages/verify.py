"""Having a jail package, believed: its digest, its signature, then all that is in it. Nothing here touches a host.

A verified package lies in the cache. One of the first format is a bare archive, unpacked over what is there; one of
format 2 comes with the manifest that says what it is for and what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from reconciler.cache import Cache, bare_digest, stream
from reconciler.download import PATIENT, DownloadError, Patience, Progress, fetch, fetch_bytes
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.archive import PACKAGE, Limits, Summary
from reconciler.packages.checked import check_cached_package
from reconciler.packages.manifest import Manifest
from reconciler.packages.read import Package, payload
from reconciler.packages.signature import LIMIT, SUFFIX, Trust, check_signature, read_signature
from reconciler.url import redact

LARGEST = 4 * 1024**3
"""Bytes that a package may have as it lies on a server, unless the host's policy says otherwise."""
ANYBODY = Trust()
"""Signatures are not looked at: the digest decides."""


@dataclass(frozen=True, slots=True)
class VerifiedPackage:
    """A package whose digest, signature and members were seen to be good. `size` is in bytes, as compressed.

    `package` is None for the first format; `signer` is the fingerprint of a trusted key, "" where none was asked for.
    """

    path: Path
    sha256: str
    size: int
    summary: Summary
    package: Package | None = None
    signer: str = ""

    @property
    def file(self) -> str:
        """The name of its archive; that of the first format is not known, and is its digest."""
        made = self.manifest
        suffix = ".tar.zst" if self.summary.compression == "zstd" else ".tar.xz"
        return (made.stem if made else self.sha256) + suffix

    @property
    def manifest(self) -> Manifest | None:
        """What it says of itself, where it says anything."""
        return self.package.manifest if self.package else None

    def chunks(self) -> Iterator[bytes]:
        """What is to be unpacked, as a compressed tar archive, while the whole is hashed once more: the last piece
        comes only when it has its digest. See `cache.stream`."""
        if self.package is None:
            return stream(self.path, self.sha256)
        return payload(self.path, self.sha256, self.package)


def verify(
    source: str,
    digest: str,
    base_dir: Path,
    cache: Cache,
    *,
    trust: Trust = ANYBODY,
    limits: Limits = PACKAGE,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    largest: int = LARGEST,
) -> VerifiedPackage:
    """Have a package in the cache, its digest and signature seen before anything of it is read, then its members.

    `source` is a path relative to `base_dir` (the folder of the document), a file: or an http(s): URL;
    the digest is what is trusted, so plain http: will do. `largest` is in bytes, compressed. Raises FetchError: what
    `download.fetch`, `signature.check_signature`, `read.check_package` and `archive.check_archive` raise, and
    `package-source` for a source that is none of these.
    """
    sha256, url = bare_digest(digest), source_url(source, base_dir)
    path = fetch(url, sha256, cache, limit=largest, progress=progress, patience=patience)
    signer = ""
    if trust.looks:
        signer = check_signature(path, redact(url), signature_beside(url, sha256, cache, patience), trust)
    package, summary = check_cached_package(cache, sha256, limits)
    return VerifiedPackage(path, sha256, path.stat().st_size, summary, package, signer)


def kept(
    cache: Cache, digest: str, name: str, *, trust: Trust = ANYBODY, limits: Limits = PACKAGE
) -> VerifiedPackage | None:
    """A package that the cache has, with the signature beside it; None where it has none.

    `name` is what it is called where it is refused. Raises FetchError as `verify`.
    """
    sha256 = bare_digest(digest)
    path = cache.find(sha256)
    if path is None:
        return None
    signer = check_signature(path, name, read_signature(path), trust)
    package, summary = check_cached_package(cache, sha256, limits)
    return VerifiedPackage(path, sha256, path.stat().st_size, summary, package, signer)


def signature_beside(url: str, sha256: str, cache: Cache, patience: Patience = PATIENT) -> bytes | None:
    """The signature from beside the archive, where there is one; kept, so that a package is checked without its
    server as well. One that turned out to be wrong is asked for again."""
    parts = urlsplit(url)
    beside = urlunsplit(parts._replace(path=parts.path + SUFFIX))
    place = cache.path(sha256, SUFFIX)
    try:
        data = fetch_bytes(beside, limit=LIMIT, patience=patience)
    except DownloadError as error:
        if error.diagnostics[0].code == "mirror-not-found":
            return None
        kept = read_signature(cache.path(sha256))
        if kept is None:
            raise
        return kept
    cache.put(place, data)
    return data


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
