"""Recording with unionfs: an upper folder over a jail's root takes all that the jail writes.

The folder lies on a file system that has whiteouts (VOP_WHITEOUT: tmpfs and UFS, not ZFS), or else every deletion in
the jail fails with EOPNOTSUPP (mount_unionfs(8), BUGS). The jail's fstab mounts it over the root at each start, as
long as the folder is there. What it recorded is read by looking at both trees, as with snapshots: whiteouts are names
that the union does not show. What a union loses when it copies up is taken from the tree below, see `restored`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.build.unmount import unmount_all
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import MountRow
from reconciler.packages.record import Touched
from reconciler.packages.tree import Entry, Tree
from reconciler.runtime.fstab import plain, united

WHITEOUTS = frozenset({"tmpfs", "ufs"})
READ_ONLY = "ro,noatime,copymode=transparent"
"""Mounted so, a union makes no shadow folders where somebody looks (sys/fs/unionfs, unionfs_lookup)."""
_PLAIN = re.compile(r"(/[A-Za-z0-9._+-]+)+")
_KINDS = "lfps"


def covering(mounts: Iterable[MountRow], path: str) -> MountRow | None:
    """The mount that a path lies in; None where nothing is known of mounts."""
    found = None
    for row in mounts:
        top = row.target.rstrip("/") + "/"
        if f"{path}/".startswith(top) and (found is None or len(row.target) >= len(found.target)):
            found = row
    return found


def may_be_there(mounts: Iterable[MountRow], upper: str) -> bool:
    """Whether a file system that could hold the folder is mounted; one of memory is gone after a boot."""
    row = covering(mounts, upper)
    return row is None or row.fstype in WHITEOUTS


def is_there(site: Site, upper: str) -> bool:
    """Whether the folder itself is: after a boot another file system may be mounted at its place."""
    parent, _, name = upper.rpartition("/")
    return may_be_there(site.observe("mounts").mounts, upper) and name in site.host.files.names(parent)


def own(site: Site, jail: str) -> str:
    """Where a file system of memory is mounted for a jail that names no folder."""
    return f"{site.mountpoint}/recording/{jail}"


def prepare(site: Site, jail: str, word: str, folder: str, size: int) -> str:
    """Make the upper folder in `folder`, or in a new file system of memory of at most `size` bytes; its path.

    Raises HostError (`recording-upper-unfit`, and what mounting raises); then nothing is left of it.
    """
    place = folder or own(site, jail)
    _try_no_more(site, jail)
    if not folder:
        _forget_own(site, place)
        site.host.files.mkdir(place, 0o700)
        site.host.mounts.mount("tmpfs", "tmpfs", place, f"rw,mode=0700,size={size}")
    _check(site, place)
    upper = f"{place}/{jail}-{word}"
    site.host.files.mkdir(upper)
    try:
        _try(site, jail, upper)
    except HostError:
        discard(site, jail, upper)
        raise
    return upper


def _try(site: Site, jail: str, upper: str) -> None:
    """Lay it over an empty folder first: a kernel without unionfs(4), or one that may load no module any more, says so
    before the jail is stopped."""
    place = f"{own(site, jail)}.try"
    site.host.files.mkdir(place, 0o700)
    site.host.mounts.mount("unionfs", upper, place, READ_ONLY)
    _try_no_more(site, jail)


def _try_no_more(site: Site, jail: str) -> None:
    place = f"{own(site, jail)}.try"
    unmount_all(site, [row.target for row in site.observe("mounts").mounts if row.target == place])
    site.host.files.rmdir(place)


def _check(site: Site, place: str) -> None:
    if not _PLAIN.fullmatch(place) or ".." in place.split("/"):
        raise _unfit(f"{place!a} is no plain absolute path: letters, digits and ._+- between slashes.")
    site.host.files.read(f"{place}/.reconciler-looks-for-links")
    if place.rpartition("/")[2] not in site.host.files.names(place.rpartition("/")[0] or "/"):
        raise _unfit(f"There is no folder {place}.")
    row = covering(site.observe("mounts").mounts, place)
    if row is not None and row.target.startswith(f"{site.mountpoint}/live/"):
        raise _unfit(f"{place} lies in a jail.")
    if row is None or row.fstype not in WHITEOUTS:
        kind = row.fstype if row is not None else "unknown"
        raise _unfit(f"{place} lies on {kind}, which has no whiteouts: the jail could not delete or rename anything.")
    if "read-only" in row.options:
        raise _unfit(f"{place} lies on {row.target}, which is mounted read-only.")


def _unfit(detail: str) -> HostError:
    hint = "Name a folder on UFS or tmpfs: --upper DIR. Without --upper one of memory is made."
    return HostError(Diagnostic("recording-upper-unfit", "Nothing can be recorded into this folder", detail, hint))


def discard(site: Site, jail: str, upper: str) -> None:
    """Take the upper folder away, with all that was recorded into it; no jail may run over it."""
    _try_no_more(site, jail)
    place = own(site, jail)
    if upper.startswith(f"{place}/"):
        _forget_own(site, place)
    elif is_there(site, upper):
        site.host.files.clear(upper)


def _forget_own(site: Site, place: str) -> None:
    unmount_all(site, [row.target for row in site.observe("mounts").mounts if row.target == place])
    site.host.files.clear(place)


def write(site: Site, jail: str, upper: str) -> None:
    """Have the jail's fstab lay this folder over the root from its next start on; nothing where it is ""."""
    path = f"{site.mountpoint}/jails/{jail}/fstab"
    text = (site.host.files.read(path) or b"").decode("utf-8", "surrogateescape")
    new = united(text, upper) if upper else plain(text)
    if new != text:
        site.host.files.write(path, new.encode("utf-8", "surrogateescape"))


def settle(site: Site, jail: str, upper: str) -> None:
    """Before a start: where the upper folder is gone, the jail starts without it."""
    if upper and not is_there(site, upper):
        write(site, jail, "")


def looked(site: Site, upper: str) -> Touched:
    """Where to look: whatever has a name in the upper folder, and the names in each of its folders.

    What is no folder there may stand in the place of one, with all that was below it.
    """
    files = site.host.files
    folders = files.listed(upper, "d")
    several = frozenset(name for kind in _KINDS for name in files.listed(upper, kind))
    return Touched(several | {*folders}, frozenset({"", *folders}), several, several)


def restored(below: Mapping[str, Entry], above: Tree) -> tuple[dict[str, Entry], dict[str, tuple[str, ...]]]:
    """`above` with the flags, attributes and ACLs that a copy lost, and which names those are, by what it was.

    What had them below and has none of their kind above was copied up: whoever replaces such a file sets them again.
    What was a hard link below and is none above is named too, and stays: which name was meant is not to be known.
    """
    tree, lost = dict(above), dict[str, list[str]]()
    for path, old in below.items():
        new = tree.get(path)
        if new is None or new.type != old.type:
            continue
        if old.flags and not new.flags:
            new = replace(new, flags=old.flags)
            lost.setdefault("flags", []).append(path)
        if old.xattrs and not new.xattrs:
            new = replace(new, xattrs=old.xattrs)
            lost.setdefault("attributes", []).append(path)
        if old.acl and not new.acl:
            new = replace(new, acl=old.acl)
            lost.setdefault("ACL", []).append(path)
        if old.links and not new.links:
            lost.setdefault("hard link", []).append(path)
        tree[path] = new
    return tree, {what: tuple(sorted(paths)) for what, paths in lost.items()}
