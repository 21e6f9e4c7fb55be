"""Mounts of a running jail. Its fstab makes them at start; here only live drift is put right.

A mount that nobody declared is not ours to take away; it goes when the jail stops.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from posixpath import normpath
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import MountRow
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource

BLANKS = re.compile(r"[ \t]+")  # fstab(5) knows no other; str.split() would also cut at Unicode's


# Compared where the spec asks for them; a mount may have more of its own.
FLAGS = frozenset({"noexec", "nosuid"})
# What the kernel shows as the source of a file system that has none, whatever fstab says (vfs_mountedfrom(9)).
SOURCES = {
    "devfs": "devfs", "fdescfs": "fdescfs", "linprocfs": "linprocfs", "linsysfs": "linsysfs", "mqueuefs": "mqueue",
    "procfs": "procfs", "tmpfs": "tmpfs",
}  # fmt: skip


@quick
@dataclass(frozen=True, slots=True)
class Mount(Resource):
    """One mount by `JAIL:TARGET` (target relative to the jail's root). `flags`: those of FLAGS that it has."""

    kind: ClassVar[str] = "mount"
    source: str = ""
    fstype: str = ""
    read_only: bool = False
    jail: str = ""
    options: str = field(default="rw", compare=False)
    flags: frozenset[str] = frozenset()

    @property
    def scope(self) -> str:
        """The jail."""
        return self.jail

    def needs(self) -> frozenset[Ref]:
        """The running jail."""
        return frozenset({Ref("jail", self.jail)})

    def provider(self) -> Ref | None:
        """Starting the jail mounts it."""
        return Ref("jail", self.jail)

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        mode = ",".join(["ro" if self.read_only else "rw", *sorted(self.flags)])
        return {"source": self.source, "type": self.fstype, "mode": mode}


@dataclass(frozen=True, slots=True)
class Remount(Action):
    """Mount what is missing; unmount first what is there with another source or mode."""

    @property
    def phase(self) -> Phase:
        """While the jail runs."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        return f"mount {self.subject.name.partition(':')[2]} again"

    def apply(self, site: Site) -> None:
        """Do it, where no link of the jail leads elsewhere. Raises HostError (code `symlink-refused`)."""
        mount = self.after
        assert isinstance(mount, Mount)
        target = f"{site.mountpoint}/live/{mount.jail}{mount.name.partition(':')[2]}"
        _walk(site, target)
        if self.before is not None:
            site.host.mounts.unmount(target)
            _walk(site, target)
        rows = site.observe("mounts").mounts
        site.host.mounts.mount(mount.fstype, mount.source, target, mount.options)
        _take_back(site, mount, target, rows)


def _walk(site: Site, target: str) -> None:
    """Go to a place in a running jail without following a link: mount(8) and umount(8) would, out to the host."""
    site.host.files.read(f"{target}/.reconciler-looks-for-links")


def _take_back(site: Site, mount: Mount, target: str, before: Iterable[MountRow]) -> None:
    """The jail runs, and may have made a link after the look: what was mounted elsewhere is unmounted at once."""
    new = Counter(site.observe("mounts").mounts) - Counter(before)
    if any(row.target == target for row in new):
        return
    others = f"{site.mountpoint}/live/" if mount.fstype != "zfs" else "\0"  # a jail that starts mounts its own
    for row in new:
        if (row.source, row.fstype) == (mount.source, mount.fstype) and not row.target.startswith(others):
            site.host.mounts.unmount(row.target)
    detail = f"{target} leads elsewhere than it says; what was mounted through it was unmounted."
    summary = "A path has a symlink in it, or is no regular file"
    raise HostError(
        Diagnostic("symlink-refused", summary, detail, f"jexec {mount.jail} ls -ld {mount.name.partition(':')[2]}")
    )


def unescape(field_: str) -> str:
    r"""fstab(5) writes blanks and backslashes as \040 and so on."""
    out, rest = "", field_
    while "\\" in rest:
        head, _, rest = rest.partition("\\")
        if len(rest) >= 3 and all(c in "01234567" for c in rest[:3]):
            out, rest = out + head + chr(int(rest[:3], 8)), rest[3:]
        else:
            out += head + "\\"
    return out + rest


def of_fstab(text: str, place: Place, jail: str) -> Iterable[Mount]:
    """What a jail's fstab mounts, its root included (target "")."""
    live = place.folder(f"live/{jail}")
    for line in text.splitlines():
        fields = [unescape(f) for f in BLANKS.split(line.strip(" \t"))]
        if len(fields) < 4 or line.startswith("#"):
            continue
        source, target, fstype, options = fields[:4]
        if target == live or target.startswith(live + "/"):
            rel = target[len(live) :]
            words = frozenset(options.split(","))
            # mount_nullfs(8) shows the path that it found; only what the text alone tells is known here.
            source = normpath(source) if fstype == "nullfs" else SOURCES.get(fstype, source)
            yield Mount(f"{jail}:{rel}", source, fstype, "ro" in words, jail, options, words & FLAGS)


def want(desired: Desired) -> Iterable[Mount]:
    """What the fstab of each running jail mounts."""
    for name, allocation in desired.allocated.items():
        if allocation.jail is not None and "fstab" in allocation.config.content:
            yield from of_fstab(allocation.config.content["fstab"][1], desired.place, name)


def have(seen: Seen) -> Iterable[Mount]:
    """What is mounted at or below the live path of each running jail; the uppermost of stacked ones.

    What a recording lays over a root is no mount of the spec, and stays.
    """
    prefix = seen.place.folder("live/")
    running = {row.name for row in seen.observed.jails}
    found: dict[str, Mount] = {}
    for row in seen.observed.mounts:
        if row.target.startswith(prefix) and not (row.fstype == "unionfs" and "/" not in row.target[len(prefix) :]):
            jail, slash, rest = row.target[len(prefix) :].partition("/")
            if jail in running:
                name = f"{jail}:{slash}{rest}"
                flags = row.options & FLAGS
                found[name] = Mount(name, row.source, row.fstype, "read-only" in row.options, jail, flags=flags)
    return found.values()


def align(before: Mount, after: Mount) -> Mount:
    """Only the flags that are asked for."""
    return before if before.flags <= after.flags else replace(before, flags=before.flags & after.flags)


def steps(before: Mount | None, after: Mount | None) -> Iterable[Action]:
    """Put back what is declared."""
    if after is not None:
        yield Remount(before, after)


KIND = Kind(Mount, want, have, steps, frozenset({"jails", "mounts"}), drift="mounts", align=align)
