"""A base system made of packages (pkgbase): what pkg(8) is told of its repository, and what its answers mean. Pure.

Sources: pkg.conf(5), pkg-repository(5), FreeBSD.conf of 15.1 in /etc/pkg, the keys in /usr/share/keys. FreeBSD names
such packages `FreeBSD-...`, and their versions after the release: `15.1`, and `15.1p2` where the second patch level
changed one. A repository has the newest level alone. It is asked outside, where the network is; what it gave is
installed inside a jail without network, from a folder. Neither reads the tree's own configuration or keys: those
belong to whoever wrote the tree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.model.command import Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import Offer
from reconciler.releases.tag import Updates
from reconciler.releases.version import Version, parse_version
from reconciler.url import redact

NAME = "FreeBSD-base"
"""What the repository is called, as in FreeBSD's own configuration: pkg notes it beside each package."""
PREFIX = "FreeBSD-"
MARK = "FreeBSD-runtime"
"""The package that a base system made of packages always has: it holds /bin/sh."""
FINGERPRINTS: Mapping[int, tuple[str, ...]] = MappingProxyType({
    15: (
        "1d7b45d20fa8d6ed26f9b4a13ac81a6b5df860b9fe644d07b87e92298ba72595",
        "56a7bdcb6c3cf7984729c6138bd5617c24aa0d466b3b604c96205b2c5629f3c",
    ),
})  # fmt: skip
"""SHA256 of the keys that sign releases of a major version: /usr/share/keys/pkgbase-15/trusted."""
INSIDE = "/mnt"
"""Where the jail sees what was fetched; every FreeBSD has this folder."""
DATABASE = "local.sqlite"
"""pkg's record of what a root holds, below var/db/pkg."""
MAX_PACKAGES = 5000
"""Packages of a base repository; FreeBSD's have about 500, with those for debugging."""
TAIL = 2000

_VERSION = re.compile(r"(?P<major>[0-9]{1,3})\.(?P<minor>[0-9]{1,3})(?:p(?P<patch>[0-9]{1,5}))?", re.ASCII)
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the packages of a release lie, and the SHA256 of the keys that may sign its catalogue."""

    url: str
    fingerprints: tuple[str, ...]


def repository(updates: Updates, release: str, abi: str) -> Repository:
    """The repository of a release on a kind of machine (`FreeBSD:15:amd64`).

    Raises HostError (`pkgbase-untrusted`) where nobody said whose signature counts.
    """
    version = parse_version(release)
    words = {"${ABI}": abi, "${VERSION_MAJOR}": str(version.major), "${VERSION_MINOR}": str(version.minor)}
    url = updates.repository
    for word, value in words.items():
        url = url.replace(word, value)
    fingerprints = updates.fingerprints or FINGERPRINTS.get(version.major, ())
    if not fingerprints:
        raise HostError(
            Diagnostic(
                "pkgbase-untrusted",
                "Nothing says who signs the packages of this base system",
                f"{release}: the keys of FreeBSD {version.major} are not known here, and the Host document names none.",
                "updates: {fingerprints: ['sha256:...']} in the Host document; see /usr/share/keys of that release.",
            )
        )
    return Repository(url, fingerprints)


def files(found: Repository, work: str) -> Mapping[str, bytes]:
    """What pkg reads in our work folder, by path in it: repositories for outside and for a folder, keys, options."""
    outside = {
        "url": found.url,
        "mirror_type": "srv" if found.url.startswith("pkg+") else "none",
        "signature_type": "fingerprints",
        "fingerprints": f"{work}/keys",
        "enabled": True,
    }
    made = {
        "repos/base.conf": {NAME: outside},
        "local/base.conf": {NAME: _folder(f"{work}/repo")},
        "inside/base.conf": {NAME: _folder(f"{INSIDE}/repo")},
        # Instead of the root's own, which its jail may have written.
        "inside.conf": {"REPO_AUTOUPDATE": True, "PKG_ENABLE_PLUGINS": False, "HANDLE_RC_SCRIPTS": False},
    }
    keys = {
        f"keys/trusted/{number}": f'function: "sha256"\nfingerprint: "{digest}"\n'.encode()
        for number, digest in enumerate(found.fingerprints, 1)
    }
    # pkg's own format takes JSON as it is.
    return {**{path: json.dumps(value, indent=1).encode() + b"\n" for path, value in made.items()}, **keys}


def _folder(path: str) -> Mapping[str, object]:
    """A repository that pkg(8) made here of packages that it had verified."""
    return {"url": f"file://{path}", "mirror_type": "none", "signature_type": "none", "enabled": True}


def is_packaged(installed: Iterable[str]) -> bool:
    """Whether these are the packages of a root whose base system is made of packages."""
    return MARK in installed


def newest(versions: Mapping[str, str], release: str, url: str) -> int:
    """The patch level that packages (versions by name) amount to: that of the last that was changed.

    Raises HostError (`pkgbase-repository-other`) when they are of another release, or none of a base system.
    """
    wanted = parse_version(release)
    found = [_VERSION.fullmatch(version) for name, version in versions.items() if name.startswith(PREFIX)]
    numbers = {(int(one["major"]), int(one["minor"])) for one in found if one}
    if MARK not in versions or numbers != {(wanted.major, wanted.minor)}:
        there = ", ".join(sorted(f"{major}.{minor}" for major, minor in numbers)) or "nothing"
        raise HostError(
            Diagnostic(
                "pkgbase-repository-other",
                "The repository does not hold this release",
                f"{redact(url)} has packages of {there}; {release} was asked for.",
                "Correct `updates.repository` of the Host document, or leave it out.",
            )
        )
    return max(int(one["patch"] or 0) for one in found if one)


def changed(installed: Mapping[str, str], offered: Mapping[str, Offer], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The packages to fetch: those that are here at another version, those `wanted`, and all that they need.

    Of the installed ones only base packages count.
    """
    base = {name for name in installed if name.startswith(PREFIX)}
    waiting = [name for name in (*sorted(base), *wanted) if name in offered]
    seen = set(waiting)
    while waiting:
        for need in offered[waiting.pop()].needs:
            if need in offered and need not in seen:
                seen.add(need)
                waiting.append(need)
    return tuple(sorted(name for name in seen if installed.get(name) != offered[name].version))


def set_package(name: str) -> str:
    """The package that stands for a set of a Release document: `base-jail` is FreeBSD-set-base-jail."""
    return f"{PREFIX}set-{name}"


def sound(name: str) -> bool:
    """Whether a name from a catalogue can be handed to a command."""
    return _PACKAGE.fullmatch(name) is not None


def is_older(level: int, known: Iterable[int]) -> bool:
    """Whether a repository that amounts to `level` is older than what is known to exist."""
    return level < max(known, default=0)


def older(found: Repository, release: Version, known: int) -> HostError:
    """The error of a repository that is behind what this host has seen."""
    return HostError(
        Diagnostic(
            "pkgbase-repository-older",
            "The repository is older than what is known",
            f"{redact(found.url)} leads to {release}, and patch level {known} is known to exist. A signature has no "
            "date: an old catalogue stays valid, and whoever repeats one hides patches.",
            "Try again later, or use another mirror.",
        )
    )


def fetched(done: Completed) -> None:
    """Judge what was asked of the repository. Raises HostError (`pkgbase-fetch-failed`)."""
    if done.status:
        hint = "Check the host's network, its pkg(8), and `updates` of its Host document; nothing was changed."
        raise failed("pkgbase-fetch-failed", "Base packages could not be fetched", done, hint)


def installed(done: Completed) -> None:
    """Judge an installation. Raises HostError (`pkgbase-install-failed`)."""
    if done.status:
        hint = "What was being made is discarded by the next run, which begins anew. Run the command again."
        raise failed("pkgbase-install-failed", "Base packages could not be installed", done, hint)


def failed(code: str, summary: str, done: Completed, hint: str) -> HostError:
    """An error with the end of what was said."""
    tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
    detail = f"pkg ended with status {done.status}." + (f"\n{tail}" if tail else "")
    return HostError(Diagnostic(code, summary, detail, hint), argv=done.argv, status=done.status, stderr=tail)
