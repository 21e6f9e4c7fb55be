"""The jail's fstab: its first line is the pointer to the live root.

jail(8) reads it before exec.prepare, mounts in order and unmounts in reverse, refuses symbolic
links below the jail's path, and takes `#` for a comment anywhere in a line.
"""

from __future__ import annotations

from reconciler.runtime.quote import fstab as escaped
from reconciler.runtime.runtime import SECRETS, Runtime
from reconciler.spec.document import Jail, Volume

_Entry = tuple[str, str, str, str]


def _line(device: str, path: str, fstype: str, options: str) -> str:
    if fstype == "zfs":
        options = for_zfs(options)
    return f"{escaped(device)} {escaped(path)} {fstype} {options} 0 0\n"


def for_zfs(options: str) -> str:
    """Mount options as ZFS of FreeBSD takes them.

    It knows `nosuid` as `nosetuid`: while it mounts, its property `setuid` takes the flag away again that mount(8)
    has set, unless that word says otherwise (module/os/freebsd/zfs/zfs_vfsops.c). `noexec` and `ro` have one name.
    """
    words = options.split(",")
    return f"{options},nosetuid" if "nosuid" in words and "nosetuid" not in words else options


def _volume_options(volume: Volume) -> str:
    options = ["ro" if volume.read_only else "rw"]
    if not volume.exec:
        options.append("noexec")
    if not volume.setuid:
        options.append("nosuid")
    return ",".join(options)


def inner(runtime: Runtime) -> list[_Entry]:
    """What is mounted below the root, parents first: device, absolute path in the jail, type, options."""
    jail = runtime.jail
    entries = [
        (runtime.volume_dataset(volume), volume.mountpoint, "zfs", _volume_options(volume)) for volume in jail.volumes
    ]
    entries += [(mount.device, mount.mountpoint, mount.type, mount.options) for mount in jail.mounts]
    if jail.secrets:
        entries.append(("tmpfs", SECRETS, "tmpfs", "rw,mode=0755,size=16m,noexec,nosuid"))
    return sorted(entries, key=lambda entry: entry[1].split("/"))


def mountpoints(jail: Jail) -> tuple[str, ...]:
    """Folders that must exist in the root before the jail starts, parents first; jail(8) makes none."""
    inner = {volume.mountpoint for volume in jail.volumes} | {mount.mountpoint for mount in jail.mounts}
    return tuple(sorted({"/dev", *inner, *((SECRETS,) if jail.secrets else ())}, key=lambda path: path.split("/")))


def targets(runtime: Runtime) -> tuple[str, ...]:
    """Absolute mount points in the order they are mounted."""
    inside = ["/dev", *(path for _, path, _, _ in inner(runtime))]
    return (runtime.live, *(runtime.live + path for path in inside))


def fstab(runtime: Runtime) -> str:
    """The text of the fstab: root, devfs, then everything else with parents before what is below them."""
    lines = [
        _line(runtime.root, runtime.live, "zfs", "rw"),
        _line("devfs", f"{runtime.live}/dev", "devfs", f"rw,ruleset={runtime.devfs_ruleset}"),
    ]
    lines += [_line(device, runtime.live + path, fstype, options) for device, path, fstype, options in inner(runtime)]
    return "".join(lines)


def pointer(text: str) -> str:
    """The dataset of the live root, from the text of an fstab; empty when there is none."""
    first = text.split("\n", 1)[0].split()
    return first[0] if len(first) >= 3 and first[2] == "zfs" else ""


UNION = "rw,noatime,copymode=transparent"
"""A union that writes only what a jail writes, with the owner and mode of what it copies up (mount_unionfs(8))."""


def united(text: str, upper: str) -> str:
    """The same fstab with the folder `upper` laid over the root, before anything is mounted in it."""
    first, *rest = plain(text).splitlines(keepends=True)
    return "".join((first, _line(upper, first.split()[1], "unionfs", UNION), *rest))


def upper(text: str) -> str:
    """The folder that is laid over the root; "" where none is."""
    lines = text.split("\n", 2)
    over = lines[1].split() if len(lines) > 1 else []
    return over[0] if over[2:3] == ["unionfs"] and over[1:2] == lines[0].split()[1:2] else ""


def plain(text: str) -> str:
    """The same fstab with nothing laid over the root: what was written from the spec."""
    if not upper(text):
        return text
    first, _, *rest = text.splitlines(keepends=True)
    return "".join((first, *rest))
