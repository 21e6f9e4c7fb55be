"""zfs mount and unmount, and what other subcommands mount and unmount."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options, reason
from reconciler.hosts.sandbox.commands.zfs.names import existing
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine

# Property, the option that overrules it, what mount(8) shows. ZFS does not know mount(8)'s own `nosuid`, and its
# property takes that flag away while it mounts (zfs_register_callbacks of FreeBSD's zfs_vfsops.c).
_SHOWN = (("atime", "noatime", "noatime"), ("exec", "noexec", "noexec"), ("setuid", "nosetuid", "nosuid"))


def mount_options(machine: Machine, name: str, extra: Iterable[str] = ()) -> list[str]:
    """The options a dataset or snapshot is mounted with, in the order mount(8) shows them."""
    owner = name.split("@")[0]
    shown = [
        "local",
        *(word for prop, option, word in _SHOWN if machine.pool.value(owner, prop)[0] == "off" or option in extra),
    ]
    if "@" in name or "ro" in extra or machine.pool.value(owner, "readonly")[0] == "on":
        shown.append("read-only")
    return [*shown, "nfsv4acls"]


def make_folder(machine: Machine, path: str) -> None:
    """Make a mountpoint with its parents, as zfs does."""
    parts = [part for part in path.split("/") if part]
    for count in range(1, len(parts) + 1):
        real = machine.resolve("/" + "/".join(parts[:count]))
        if not real.exists():
            real.mkdir()


def mountable(machine: Machine, name: str) -> bool:
    """Whether `zfs mount -a` would mount it."""
    pool = machine.pool
    return (
        pool.value(name, "canmount")[0] == "on"
        and pool.value(name, "mountpoint")[0].startswith("/")
        and pool.value(name, "jailed")[0] == "off"
    )


def attach(machine: Machine, name: str, extra: Iterable[str] = ()) -> None:
    """Mount a dataset on its mountpoint; Refusal when that cannot be."""
    target = machine.pool.value(name, "mountpoint")[0]
    try:
        make_folder(machine, target)
        place = machine.place(target)
        if not place.real.is_dir():
            raise NotADirectoryError(20, "Not a directory")
    except OSError as error:
        raise Refusal(f"cannot mount '{target}': failed to create mountpoint: {reason(error)}") from error
    machine.mounts.add("zfs", name, place.path, mount_options(machine, name, extra))


def refuse_busy(machine: Machine, names: Iterable[str]) -> list[str]:
    """The keys of the mounts of `names`, deepest first; Refusal when one cannot go with the others."""
    mounts = machine.mounts
    keys = {key for name in names if (key := mounts.of(name))}
    ordered = sorted(keys, key=lambda key: (mounts.table[key]["target"].count("/"), key), reverse=True)
    for key in ordered:
        if mounts.busy(key, frozenset(keys)):
            raise Refusal(f"cannot unmount '{mounts.table[key]['target']}': pool or dataset is busy")
    return ordered


def detach(machine: Machine, names: Iterable[str], *, tidy: bool = False) -> None:
    """Unmount datasets together, deepest first; Refusal when one of them is busy.

    With `tidy`, mountpoints that nobody set by hand are removed when they are empty.
    """
    mounts = machine.mounts
    for key in refuse_busy(machine, names):
        target, name = mounts.table[key]["target"], mounts.table[key]["source"]
        mounts.remove(key)
        if tidy and machine.pool.value(name, "mountpoint")[1] != "local":
            try:
                os.rmdir(machine.resolve(target))
            except OSError:
                continue


def inheriting(machine: Machine, name: str) -> list[str]:
    """The dataset and those below that take their mountpoint from it or above."""
    found = [name]
    for child in machine.pool.children(name):
        if "mountpoint" not in machine.pool.datasets[child]["props"]:
            found += inheriting(machine, child)
    return found


def by_mountpoint(machine: Machine, names: Iterable[str]) -> list[str]:
    """Those of `names` that are mounted by zfs itself, not by mount(8)."""
    return [n for n in names if machine.mounts.of(n) and machine.pool.value(n, "mountpoint")[0] != "legacy"]


def _refuse_mount(machine: Machine, name: str) -> None:
    mountpoint = machine.pool.value(name, "mountpoint")[0]
    if mountpoint == "legacy":
        raise Refusal(f"cannot mount '{name}': legacy mountpoint\nuse mount(8) to mount this filesystem")
    if mountpoint == "none":
        raise Refusal(f"cannot mount '{name}': no mountpoint set")
    if machine.pool.value(name, "canmount")[0] == "off":
        raise Refusal(f"cannot mount '{name}': 'canmount' property is set to 'off'")
    if machine.mounts.of(name):
        raise Refusal(f"cannot mount '{name}': filesystem already mounted")


def mount(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs mount: list what is mounted, mount one, or all (-a)."""
    given, operands = options(argv, "ajflvOo:R:", usage("mount"))
    if "a" in given:
        for name in sorted(machine.pool.datasets):
            if mountable(machine, name) and not machine.mounts.of(name):
                try:
                    attach(machine, name)
                except Refusal as refusal:
                    answer.warn(refusal.message)
        return
    if not operands:
        for each in machine.mounts.all():
            if each["fstype"] == "zfs":
                answer.say(f"{each['source']:<30}  {each['target']}")
        return
    if len(operands) > 1:
        raise Refusal(f"too many arguments\n{usage('mount')}", 2)
    name = existing(machine, operands[0])
    _refuse_mount(machine, name)
    attach(machine, name, ",".join(given.get("o", [])).split(","))


def unmount(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs unmount: by dataset or mountpoint, or all (-a)."""
    given, operands = options(argv, "afu", usage("unmount"))
    if "a" in given:
        detach(machine, by_mountpoint(machine, sorted(machine.pool.datasets)))
        return
    if len(operands) != 1:
        problem = "missing filesystem argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('unmount')}", 2)
    name = operands[0]
    if name.startswith("/"):
        name = _at(machine, name)
    existing(machine, name)
    if machine.pool.value(name, "mountpoint")[0] == "legacy":
        raise Refusal(f"cannot unmount '{name}': legacy mountpoint\nuse umount(8) to unmount this filesystem")
    if not machine.mounts.of(name):
        raise Refusal(f"cannot unmount '{name}': not currently mounted")
    detach(machine, by_mountpoint(machine, inheriting(machine, name)))


def _at(machine: Machine, path: str) -> str:
    try:
        place = machine.place(path, write=False)
        place.real.lstat()
    except OSError as error:
        warning = f"warning: {path} not in/proc/self/mounts\n{path}: Invalid argument"
        raise Refusal(f"cannot open '{path}': {reason(error)}\n{warning}") from error
    row = machine.mounts.table[place.mount]
    if row["fstype"] != "zfs":
        raise Refusal(f"cannot unmount '{path}': not a ZFS filesystem")
    if row["target"] != place.path:
        raise Refusal(f"cannot unmount '{path}': not a mountpoint")
    return row["source"]
