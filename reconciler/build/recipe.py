"""What one layer adds to its parent: a closed set of recipes, each with the text its digest covers.

A digest covers the rule's version, the parent, the platform and everything the recipe reads, so equal
digests mean equal layers whoever builds them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.build.pins import Pins
from reconciler.kind import digest
from reconciler.makejail.program import Segment, segment_digest
from reconciler.spec.lock import PinnedFile

RULE = "reconciler-layer-1"


@dataclass(frozen=True, slots=True)
class ApplyPackage:
    """Unpack a verified jail package over the parent."""

    name: str
    version: str
    sha256: str
    source: Any = field(compare=False)
    replaces: tuple[str, ...] = field(compare=False, default=())

    def digest(self, parent: str, platform: str) -> str:
        """Parent, platform and the archive's own digest."""
        return digest(RULE, "package", parent, platform, self.sha256)

    def title(self) -> str:
        """What the plan says."""
        return f"apply package {self.name} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class ApplyBuilt:
    """Unpack a jail package that is built here: the difference that its own layers make to the release.

    `tip` is the digest of its last layer, "" where it has none; `base` names the release at its level. `levels` are
    those that its manifest says; `pinned` is the archive's digest where the lock has one for this tip. `copied` are the
    files and folders that its Makejail copies from.
    """

    name: str
    version: str
    tip: str
    base: str
    levels: tuple[int, int | None]
    pinned: str = field(compare=False, default="")
    replaces: tuple[str, ...] = field(compare=False, default=())
    copied: tuple[str, ...] = field(compare=False, default=())

    def digest(self, parent: str, platform: str) -> str:
        """The package's last layer stands for all that it was made of; the lock says nothing that this does not."""
        return digest(RULE, "built-package", parent, platform, self.base, self.tip)

    def title(self) -> str:
        """What the plan says."""
        return f"apply package {self.name} {self.version}".rstrip() + ", built here"


@dataclass(frozen=True, slots=True)
class ApplyImage:
    """Unpack the jail of an AppJail image over the parent. `urls` are tried in order."""

    name: str
    tag: str
    sha256: str
    urls: tuple[str, ...] = field(compare=False)

    def digest(self, parent: str, platform: str) -> str:
        """Parent, platform and the archive's own digest."""
        return digest(RULE, "image", parent, platform, self.sha256)

    def title(self) -> str:
        """What the plan says."""
        return f"apply image {self.name}:{self.tag}"


class Pinnable:
    """What installs FreeBSD packages. `locked` is what the lock says of them and of all that they need.

    None unless it says it of each.
    """

    __slots__ = ()
    locked: Pins | None

    @property
    def pins(self) -> tuple[str, ...]:
        """`NAME VERSION [CHECKSUM]` of each that is pinned: what the layer's digest covers."""
        return self.locked.texts if self.locked is not None else ()

    @property
    def kept(self) -> Pins | None:
        """The pins whose archives the pool keeps: all of them, or none."""
        return self.locked if self.locked is not None and self.locked.keepable else None


@dataclass(frozen=True, slots=True)
class InstallPackages(Pinnable):
    """Install FreeBSD packages with the host's pkg, in one layer."""

    names: tuple[str, ...]
    locked: Pins | None = field(compare=False, default=None)

    def digest(self, parent: str, platform: str) -> str:
        """Names and pins; the order of names does not matter to pkg, and so not to us."""
        return digest(RULE, "pkg", parent, platform, *sorted(self.names), "/", *sorted(self.pins))

    def title(self) -> str:
        """What the plan says."""
        return "install " + " ".join(self.names)


@dataclass(frozen=True, slots=True)
class RunSegment(Pinnable):
    """Run one segment of a Makejail's build stage. `number` counts from 1 of `total`.

    `files` are those of the segment's downloads that the lock pins. `others` are the
    jails that it names and that are built for it: (name, digest of its last layer). `part` is the name of the one that
    this is a segment of.
    """

    segment: Segment
    number: int
    total: int
    jail: str
    env: tuple[tuple[str, str], ...]
    context: str = field(compare=False)
    file: str = field(compare=False, default="")
    files: tuple[PinnedFile, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    part: str = field(compare=False, default="")
    locked: Pins | None = field(compare=False, default=None)

    def digest(self, parent: str, platform: str) -> str:
        """As the language defines it; what the lock says of packages and downloads is read like a file."""
        reads = {*self.segment.reads, *(("pin", pin.partition(" ")[0], pin) for pin in self.pins)}
        reads |= {("fetched", file.url, file.sha256) for file in self.files}
        reads |= {("jail", name, digest_) for name, digest_ in self.others}
        more = bool(self.pins or self.files or self.others)
        segment = replace(self.segment, reads=tuple(sorted(reads))) if more else self.segment
        return segment_digest(segment, parent, platform)

    def title(self) -> str:
        """What the plan says."""
        words = " ".join(dict.fromkeys(i.name for i in self.segment.written))
        part = f" of {self.part}" if self.part else ""
        return f"build segment {self.number} of {self.total}{part}: {words}"


def copied(recipes: Iterable[Recipe | None]) -> tuple[str, ...]:
    """Files and folders, on the machine where the tool runs, that segments among these copy from."""
    runs = [one for one in recipes if isinstance(one, RunSegment)]
    found = {posixpath.join(one.context, source.path) for one in runs for source in one.segment.sources}
    found |= {outside.path for one in runs for outside in one.segment.outside if outside.whole}
    return tuple(sorted(found | {one.context for one in runs if one.segment.needs_context}))


Recipe = ApplyPackage | ApplyBuilt | ApplyImage | InstallPackages | RunSegment
