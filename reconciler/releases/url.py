"""Where a release lies on a mirror, and which mirrors may be believed. Pure.

Layout (bsdinstall(8)): `MIRROR/MACHINE/ARCH/RELEASE/FILE`, with machine as `uname -m` and arch as
`uname -p` say: `amd64/amd64`, `arm64/aarch64`. Builds of a branch lie in another folder than FreeBSD's releases,
as bsdinstall's mirrorselect knows. HardenedBSD keeps the last build of each branch:
`MIRROR/15-stable/MACHINE/ARCH/installer/LATEST/FILE`, or `current`.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.url import is_loopback, redact

DEFAULT_MIRROR = "https://download.freebsd.org/releases"
ARCHIVE_MIRROR = "http://ftp-archive.freebsd.org/pub/FreeBSD-Archive/old-releases"
"""Where releases go after their end of life. It has no TLS, so it needs `pinned` or `manifests-dir`."""

SNAPSHOTS_MIRROR = "https://download.freebsd.org/snapshots"
HARDENEDBSD_MIRROR = "https://installers.hardenedbsd.org/pub"

_HARDENED = re.compile(r"(?P<major>[0-9]+)\.[0-9]+-(?P<branch>STABLE|CURRENT)-HBSD", re.ASCII)
_SNAPSHOT = re.compile(r".*-(ALPHA[0-9]*|CURRENT|PRERELEASE|STABLE)", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


def release_url(mirror: str | None, machine: str, arch: str, release: str, file: str) -> str:
    """The URL of one file of a release; FreeBSD's own mirror when `mirror` is None.

    Raises FetchError (`mirror-url-malformed`) for a mirror or a part that cannot be in a URL.
    """
    hardened = _HARDENED.fullmatch(release)
    plain = SNAPSHOTS_MIRROR if _SNAPSHOT.fullmatch(release) else DEFAULT_MIRROR
    own = HARDENEDBSD_MIRROR if hardened else plain
    root = own if mirror is None else mirror
    split_mirror(root)
    for part in (machine, arch, release, file):
        if not _PART.fullmatch(part) or ".." in part:
            raise FetchError(_malformed(root, f"{part[:60]!r} cannot be a folder or file on a mirror."))
    if hardened:
        branch = "current" if hardened["branch"] == "CURRENT" else f"{hardened['major']}-stable"
        return "/".join([root.rstrip("/"), branch, machine, arch, "installer", "LATEST", file])
    return "/".join([root.rstrip("/"), machine, arch, release, file])


def check_mirror(mirror: str | None, policy: str) -> None:
    """Refuse a mirror that `policy` cannot trust. Raises FetchError (`mirror-untrusted`).

    `https` believes what the connection protects: https:, file:, and http: on loopback.
    `pinned` and `manifests-dir` compare MANIFEST with something had elsewhere, so any scheme will do.
    """
    parts = split_mirror(DEFAULT_MIRROR if mirror is None else mirror)
    protected = parts.scheme in ("https", "file") or is_loopback(parts.hostname or "")
    if policy == "https" and not protected:
        raise FetchError(
            Diagnostic(
                "mirror-untrusted",
                "Nothing protects what this mirror says",
                f"{redact(mirror or DEFAULT_MIRROR)} is plain http, and its MANIFEST is not signed.",
                "Use an https: mirror, or set trust: {policy: pinned, digest: sha256:...} in the Release document.",
            )
        )


def split_mirror(mirror: str) -> SplitResult:
    """The parts of a mirror's URL. Raises FetchError (`mirror-url-malformed`)."""
    if not mirror.isascii() or any(c <= " " or c == "\x7f" for c in mirror):
        raise FetchError(_malformed(mirror, "It has characters that a URL cannot have."))
    try:
        parts = urlsplit(mirror)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise FetchError(_malformed(mirror, f"{error}.")) from error
    if parts.scheme not in ("https", "http", "file"):
        raise FetchError(_malformed(mirror, "Its scheme is none of https:, http: and file:."))
    if parts.query or parts.fragment:
        raise FetchError(_malformed(mirror, "It has a query or a fragment."))
    if parts.scheme == "file" and (host not in (None, "", "localhost") or not parts.path.startswith("/")):
        raise FetchError(_malformed(mirror, "A file: URL has no host and an absolute path: file:///path."))
    if parts.scheme != "file" and not host:
        raise FetchError(_malformed(mirror, "It names no host."))
    return parts


def _malformed(mirror: str, detail: str) -> Diagnostic:
    return Diagnostic(
        "mirror-url-malformed",
        "Not the URL of a mirror",
        f"{redact(mirror)[:200]!a}: {detail}",
        f"Write it like {DEFAULT_MIRROR}",
    )
