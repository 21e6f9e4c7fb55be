"""What a mirror offers: the names in its index pages, and of folders behind file: URLs.

Index pages are what servers make by themselves: a link to each folder, `href="15.1-RELEASE/"`. They are read as
text from a stranger: only names of releases count, everything else in them is passed over. Being listed makes
nothing trusted; that is MANIFEST's business when a release is fetched.

Layouts:

    FreeBSD       MIRROR/MACHINE/ARCH/15.1-RELEASE/          its archive of old releases alike
    HardenedBSD   MIRROR/15-stable/MACHINE/ARCH/installer/LATEST/
    HardenedBSD   MIRROR/HardenedBSD-15-STABLE-MACHINE-LATEST/      the builds of its former server
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from reconciler.download import PATIENT, Patience, fetch_bytes
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.releases.url import ARCHIVE_MIRROR, DEFAULT_MIRROR, HARDENEDBSD_MIRROR, split_mirror
from reconciler.releases.version import parse_version
from reconciler.url import redact

Layout = Literal["FreeBSD", "HardenedBSD"]

INDEX_LIMIT = 1024 * 1024
"""Bytes of an index page that are read; FreeBSD's have about 3000."""
NAMES_LIMIT = 2000
"""Folders of one index that are looked at."""

# Some servers write the whole path of a folder.
_LINK = re.compile(
    rb"""href\s*=\s*["']?(?:\./|/(?:[a-z0-9][a-z0-9._-]{0,127}/){0,16})?([a-z0-9][a-z0-9._-]{0,127})/["'\s>]""",
    re.IGNORECASE,
)
_BRANCH = re.compile(r"(?:(?P<major>[1-9][0-9]?)-(?P<stable>stable)|(?P<current>current))", re.ASCII)
_BUILD = re.compile(
    r"HardenedBSD-(?P<name>[1-9][0-9]?-(?:STABLE|CURRENT))-(?P<machine>[a-z0-9_]{1,16})-LATEST", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Offered:
    """One release on a mirror. `url` is its folder; `archived` when FreeBSD keeps it for history only."""

    name: str
    url: str
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A mirror to look at: its URL, how it is laid out, and whether it is the archive."""

    mirror: str
    layout: Layout = "FreeBSD"
    archived: bool = False


def sources(mirror: str | None = None, layout: Layout = "FreeBSD") -> tuple[Source, ...]:
    """Where to look when `mirror` is given, or where FreeBSD (with its archive) or HardenedBSD are by themselves."""
    if mirror is not None:
        return (Source(mirror, layout),)
    if layout == "HardenedBSD":
        return (Source(HARDENEDBSD_MIRROR, layout),)
    return (Source(DEFAULT_MIRROR), Source(ARCHIVE_MIRROR, archived=True))


def folders(page: bytes) -> tuple[str, ...]:
    """The names of folders that an index page links to, each once, in its order; nothing for any other text."""
    found = dict.fromkeys(link.decode("ascii") for link in _LINK.findall(page[:INDEX_LIMIT]))
    return tuple(found)[:NAMES_LIMIT]


def offers(names: Iterable[str], source: Source, machine: str, arch: str) -> tuple[Offered, ...]:
    """The releases among the names of folders in a source's index; names that are none are passed over."""
    root = source.mirror.rstrip("/")
    found = []
    for name in names:
        if source.layout == "FreeBSD":
            if _is_release(name):
                found.append(Offered(name, f"{root}/{machine}/{arch}/{name}", source.archived))
        elif branch := _BRANCH.fullmatch(name):
            title = f"{branch['major']}-STABLE" if branch["stable"] else "CURRENT"
            found.append(Offered(title, f"{root}/{name}/{machine}/{arch}/installer/LATEST"))
        elif (build := _BUILD.fullmatch(name)) and build["machine"] == machine:
            found.append(Offered(build["name"], f"{root}/{name}"))
    return tuple(found)


def look(source: Source, machine: str, arch: str, patience: Patience = PATIENT) -> tuple[Offered, ...]:
    """Read a mirror's index. `machine` as `uname -m`, `arch` as `uname -p`.

    Raises DownloadError (see `download.fetch_bytes`; transient ones are for `wraps.retry`) and FetchError
    (`mirror-url-malformed`, `mirror-empty` where the page names no release at all).
    """
    split_mirror(source.mirror)
    place = f"{source.mirror.rstrip('/')}/"
    if source.layout == "FreeBSD":
        place += f"{machine}/{arch}/"
    names = _listed(place) if place.startswith("file:") else None
    if names is None:
        names = folders(fetch_bytes(place, limit=INDEX_LIMIT, patience=patience))
    found = offers(names, source, machine, arch)
    if not found:
        raise FetchError(_empty(place))
    return found


def _listed(place: str) -> tuple[str, ...]:
    """The folders of a file: mirror. Raises FetchError (`mirror-not-found`)."""
    path = unquote(urlsplit(place).path)
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        detail = f"{redact(place)}: {error.strerror or error}."
        raise FetchError(Diagnostic("mirror-not-found", "The file is not there", detail, "Check the path.")) from error
    return tuple(sorted(names)[:NAMES_LIMIT])


def _is_release(name: str) -> bool:
    try:
        return parse_version(name).patch is None
    except FetchError:
        return False


def _empty(place: str) -> Diagnostic:
    return Diagnostic(
        "mirror-empty",
        "The mirror's index names no release",
        f"{redact(place)} was read, and it links to no folder that is named like a release.",
        "Check that it is the folder that holds MACHINE/ARCH, such as https://download.freebsd.org/releases",
    )
