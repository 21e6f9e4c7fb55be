"""volumes and mounts: one per folder, values that ZFS and fstab(5) take."""

from __future__ import annotations

import re

from reconciler.spec.document import Jail, Volume
from reconciler.spec.specset import Sourced
from reconciler.spec.suggest import did_you_mean, shorten
from reconciler.spec.view import Claim, Found, View, error, rivals

_DATASET = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*(/[A-Za-z0-9_.:-]+)*\Z")
_COMPRESSIONS = (
    ["on", "off", "lz4", "lzjb", "zle", "gzip", "zstd", "zstd-fast"]
    + [f"gzip-{n}" for n in range(1, 10)]
    + [f"zstd-{n}" for n in range(1, 20)]
    + [f"zstd-fast-{n}" for n in (*range(1, 11), *range(20, 101, 10), 500, 1000)]
)
_FILE_SYSTEMS = ("tmpfs", "procfs", "fdescfs", "linprocfs", "linsysfs", "devfs")
_KEPT = ("/dev", "/proc", "/.zfs")
_AT_HOME = frozenset({("procfs", "/proc"), ("linprocfs", "/proc"), ("fdescfs", "/dev/fd")})
"""File systems in the place that is the system's for them."""


def check(view: View) -> Found:
    """All rules about volumes and mounts."""
    yield from _pools(view)
    for item in view.jails:
        jail = item.doc
        spots = [(volume.mountpoint, ("volumes", n, "mountpoint")) for n, volume in enumerate(jail.volumes)]
        spots += [(mount.mountpoint, ("mounts", n, "mountpoint")) for n, mount in enumerate(jail.mounts)]
        for where, first, again in rivals((place, Claim(item, path, item.name)) for place, path in spots):
            detail = f"`{where}` in `{item.name}` is a mount point already ({first.span})."
            yield error(item, again.path, "mountpoint-taken", "Mount point is taken", detail, "Mount one elsewhere.")
        home = {("mounts", n, "mountpoint") for n, m in enumerate(jail.mounts) if (m.type, m.mountpoint) in _AT_HOME}
        for where, path in spots:
            if path in home:
                continue
            if where.startswith(tuple(f"{kept}/" for kept in _KEPT)) or where in _KEPT:
                detail = f"`{where}` in `{item.name}` belongs to the system."
                yield error(item, path, "mountpoint-taken", "Mount point is taken", detail, "Mount it elsewhere.")
        for number, volume in enumerate(jail.volumes):
            yield from _volume(item, number, volume)
        yield from _names(item)
        yield from _mounts(item)


def _names(item: Sourced[Jail]) -> Found:
    volumes = item.doc.volumes
    claims = ((volume.name, Claim(item, ("volumes", n, "name"), volume.name)) for n, volume in enumerate(volumes))
    for name, first, again in rivals(claims):
        detail = f"`{item.name}` has two volumes `{name}`; the first is at {first.span}."
        yield error(item, again.path, "duplicate-name", "Name is taken", detail, "Rename one.")
    known = {volume.name: n for n, volume in enumerate(volumes)}
    for number, volume in enumerate(volumes):
        former = volume.renamed_from
        if former is not None and former in known:
            place = item.place(("volumes", known[former], "name"))
            detail = f"The volume `{volume.name}` says it was `{former}`, which is still there ({place})."
            path = ("volumes", number, "renamed_from")
            hint = "Remove the old volume, or `renamed_from`."
            yield error(item, path, "renamed-from-exists", "Former name is still in use", detail, hint)


def _volume(item: Sourced[Jail], number: int, volume: Volume) -> Found:
    path = ("volumes", number)
    size = volume.recordsize
    if size is not None and (size & (size - 1) or not 512 <= size <= 16 * 1024**2):
        detail = f"`recordsize` of `{volume.name}` must be a power of two from 512 to 16M, not {size}."
        yield error(item, (*path, "recordsize"), "bad-value", "Value is not allowed", detail, "For example 128K.")
    if volume.quota is not None and volume.quota < (volume.reservation or 0):
        detail = f"`{volume.name}` reserves {volume.reservation} bytes and may use {volume.quota}."
        hint = "Make the quota at least the reservation."
        yield error(item, (*path, "quota"), "bad-value", "Value is not allowed", detail, hint)
    if volume.compression is not None and volume.compression not in _COMPRESSIONS:
        detail = f"`compression` of `{volume.name}` must be one that ZFS has, not {shorten(volume.compression)}."
        hint = did_you_mean(volume.compression, _COMPRESSIONS, "For example lz4 or zstd.")
        yield error(item, (*path, "compression"), "bad-value", "Value is not allowed", detail, hint)
    if volume.pool is not None and not _DATASET.match(volume.pool):
        detail = f"`pool` of `{volume.name}` must be a dataset such as fast/reconciler, not {shorten(volume.pool)}."
        yield error(item, (*path, "pool"), "bad-value", "Value is not allowed", detail)
    elif volume.pool is not None and "volumes" in volume.pool.split("/"):
        # POOL/volumes/JAIL/NAME is how data is known to be a jail's, so only one part may be called so.
        detail = f"`pool` of `{volume.name}` may have no part that is named volumes: {shorten(volume.pool)}."
        yield error(item, (*path, "pool"), "bad-value", "Value is not allowed", detail, "For example fast/reconciler.")


def _pools(view: View) -> Found:
    """Below the Host's own pool, data would be part of what else lies there, and go with it."""
    for item in view.jails:
        own = {host.doc.pool for host in view.hosts_of(item)} or {"zroot/reconciler"}
        for number, volume in enumerate(item.doc.volumes):
            if any(f"{volume.pool}/".startswith(f"{pool}/") and volume.pool != pool for pool in own):
                detail = f"`pool` of `{volume.name}` lies below the Host's own: {shorten(str(volume.pool))}."
                hint = "Name a dataset beside the Host's pool, or leave `pool` out."
                yield error(item, ("volumes", number, "pool"), "bad-value", "Value is not allowed", detail, hint)


def _mounts(item: Sourced[Jail]) -> Found:
    for number, mount in enumerate(item.doc.mounts):
        path = ("mounts", number, "device")
        if not mount.device or not mount.device.isprintable():
            detail = f"`device` must be a path or a word such as tmpfs, not {shorten(mount.device)}."
            yield error(item, path, "bad-value", "Value is not allowed", detail)
        elif mount.type == "nullfs" and (not mount.device.startswith("/") or ".." in mount.device.split("/")):
            detail = (
                f"nullfs mounts a folder of the host: `device` must be its absolute path, not {shorten(mount.device)}."
            )
            hint = f"For another file system, add `type: {mount.device if mount.device in _FILE_SYSTEMS else 'tmpfs'}`."
            yield error(item, path, "bad-value", "Value is not allowed", detail, hint)


CHECK = check
