"""Names of releases and patch levels, compared as numbers: 15.10 is newer than 15.9.

Pure. Sources: freebsd-version(1); `bin/freebsd-version` of a release, a shell script that is read here
and never executed, since it comes from an archive or from inside a jail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import total_ordering

from reconciler.model.diagnostic import Diagnostic, FetchError

# The order in which one version passes through its branches: CURRENT is frozen, betas follow, then
# the release; STABLE goes on after it.
_BRANCHES = ("CURRENT", "PRERELEASE", "ALPHA", "BETA", "RC", "RELEASE", "STABLE")
_NUMBERED = frozenset({"ALPHA", "BETA", "RC"})
_NAME = re.compile(
    r"(?P<major>[1-9][0-9]{0,2})\.(?P<minor>0|[1-9][0-9]{0,2})"
    r"-(?P<branch>[A-Z]{2,10})(?P<number>[1-9][0-9]?)?(?:-(?P<vendor>HBSD))?(?:-p(?P<patch>0|[1-9][0-9]{0,4}))?",
    re.ASCII,
)
_USERLAND = re.compile(r'^USERLAND_VERSION=(["\']?)([A-Za-z0-9.-]{1,64})\1[ \t]*$', re.ASCII | re.MULTILINE)


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """One release, with its patch level where one is given (`15.1-RELEASE-p3`).

    `number` is that of ALPHA, BETA and RC, 0 where there is none. An absent `patch` asks for no level in
    particular: it orders just before level 0 and is not equal to it. `vendor` is HBSD for HardenedBSD's builds.
    """

    major: int
    minor: int
    branch: str = "RELEASE"
    number: int = 0
    patch: int | None = None
    vendor: str = ""

    @property
    def release(self) -> str:
        """The name without the patch level, as on a mirror: `15.1-RELEASE`."""
        name = f"{self.major}.{self.minor}-{self.branch}{self.number or ''}"
        return f"{name}-{self.vendor}" if self.vendor else name

    @property
    def patchable(self) -> bool:
        """Whether there are patches for it: builds of a branch are replaced, and only FreeBSD publishes patches."""
        return self.branch not in ("CURRENT", "PRERELEASE", "STABLE") and not self.vendor

    @property
    def level(self) -> int:
        """The patch level, 0 where none is given."""
        return self.patch or 0

    def at(self, level: int) -> Version:
        """The same release at another patch level."""
        return replace(self, patch=level)

    def __str__(self) -> str:
        """The name as FreeBSD writes it; level 0 is left out, as freebsd-version does."""
        return f"{self.release}-p{self.patch}" if self.patch else self.release

    def __lt__(self, other: object) -> bool:
        """Older: by numbers, then branch, then patch level."""
        if not isinstance(other, Version):
            return NotImplemented
        return self._key() < other._key()

    def _key(self) -> tuple[int, int, int, int, int]:
        return (
            self.major,
            self.minor,
            _BRANCHES.index(self.branch),
            self.number,
            -1 if self.patch is None else self.patch,
        )


def parse_version(text: str) -> Version:
    """Read `15.1-RELEASE` or `15.1-RELEASE-p3`. Raises FetchError (`release-name-malformed`)."""
    found = _NAME.fullmatch(text)
    branch = found["branch"] if found else ""
    if found is None or branch not in _BRANCHES or (found["number"] and branch not in _NUMBERED):
        raise FetchError(
            Diagnostic(
                "release-name-malformed",
                "Not the name of a FreeBSD release",
                f"{text[:80]!r} does not read as MAJOR.MINOR-BRANCH with an optional -pLEVEL.",
                "Write it like 15.1-RELEASE or 15.1-RELEASE-p3.",
            )
        )
    patch = found["patch"]
    return Version(
        int(found["major"]),
        int(found["minor"]),
        branch,
        int(found["number"] or 0),
        None if patch is None else int(patch),
        found["vendor"] or "",
    )


def read_userland_version(script: bytes) -> Version:
    """The version that the text of `bin/freebsd-version` states; without `-pN` the level is 0.

    The script is parsed, never run. Exactly one assignment must be there: with two, what the
    shell would answer is not known. Raises FetchError (`userland-version-unreadable`).
    """
    found = _USERLAND.findall(script[:65536].decode("ascii", "replace"))
    if len(found) == 1:
        version = parse_version(found[0][1])
        return version.at(version.level)
    raise FetchError(
        Diagnostic(
            "userland-version-unreadable",
            "bin/freebsd-version does not state one version",
            f'It has {len(found)} lines USERLAND_VERSION="..."; exactly one was expected.',
            "Use a release whose base set is FreeBSD's own.",
        )
    )
