"""Opening packages that lie on this machine: their manifests, and the digests that lie beside them."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.cache import hash_stream, mismatch, open_regular
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.archive import PACKAGE, Limits
from reconciler.packages.read import Package, read_package, unreadable
from reconciler.packages.write import digest_file

_DIGEST = re.compile(rb"([0-9a-f]{64})(?:  ([^\n\0]+))?\n?")


def opened(path: Path, limits: Limits = PACKAGE) -> Package:
    """A package of format 2, from its manifest alone.

    Raises FetchError as `read_package`, `package-unreadable`, and `package-first-format` for any other file.
    """
    try:
        with open_regular(path, follow=True) as file:
            found = read_package(file, limits)
    except OSError as error:
        raise unreadable(path, error) from error
    if found is None:
        raise first_format(path)
    return found


def first_format(path: Path) -> FetchError:
    """The error of a file that is no package of format 2."""
    return FetchError(
        Diagnostic(
            "package-first-format",
            "The file is no package of format 2",
            f"{path} has no manifest: it may be a package of the first format, a bare archive.",
            f"reconcile package convert {path} --name NAME --version VERSION --release RELEASE",
        )
    )


def told_digest(path: Path) -> str | None:
    """The SHA256 (hex) that the file beside an archive gives, in either form; None where there is none.

    Raises FetchError: `digest-malformed` for a file that says something else, or names another file.
    """
    place = digest_file(path)
    try:
        with open_regular(place, follow=True) as file:
            text = file.read(4096)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(place, error) from error
    return parse_digest(text, path.name, str(place))


def parse_digest(text: bytes, name: str, where: str) -> str:
    """The SHA256 (hex) that such a file gives for an archive of that name. Raises FetchError (`digest-malformed`)."""
    found = _DIGEST.fullmatch(text)
    if found is None or found[2] not in (None, name.encode("utf-8", "surrogateescape")):
        raise FetchError(
            Diagnostic(
                "digest-malformed",
                "Not a SHA256 digest",
                f"{where} does not say the digest of {name}, as HASH  FILE or as 64 digits alone.",
                f"Compare with: sha256sum {name}",
            )
        )
    return found[1].decode()


def digest(path: Path) -> str:
    """The SHA256 (hex) of an archive. Raises FetchError: `package-unreadable`."""
    try:
        with open_regular(path, follow=True) as file:
            return hash_stream(file)[0]
    except OSError as error:
        raise unreadable(path, error) from error


def checked_digest(path: Path, wanted: str = "") -> str:
    """The SHA256 (hex) of an archive, held against `wanted` and against the file beside it, where there is one.

    Raises FetchError: `digest-mismatch`, `digest-malformed`, `package-unreadable`.
    """
    actual = digest(path)
    for expected in (wanted, told_digest(path) or ""):
        if expected and expected != actual:
            raise FetchError(mismatch(str(path), expected, actual))
    return actual
