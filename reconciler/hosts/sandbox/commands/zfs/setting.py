"""zfs set and inherit, with what they do to mounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.mounting import (
    attach,
    by_mountpoint,
    detach,
    inheriting,
    mount_options,
    mountable,
)
from reconciler.hosts.sandbox.commands.zfs.names import existing
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.properties import COLUMNS, LIMITS, NATIVE, check, known
from reconciler.hosts.sandbox.values import Values

_MOUNTED_WITH = frozenset({"readonly", "atime", "exec", "setuid"})


def set_properties(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs set: several properties of several datasets; status 255 when one cannot be."""
    given, operands = options(argv, "u", usage("set"))
    texts = [text for text in operands if "=" in text]
    names = operands[len(texts) :]
    if not operands or operands[: len(texts)] != texts or not texts:
        raise Refusal(f"missing property=value argument(s)\n{usage('set')}", 2)
    if not names:
        raise Refusal(f"missing dataset name(s)\n{usage('set')}", 2)
    wanted: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = COLUMNS.get(name, name)
        if name in wanted:
            raise Refusal(f"property '{name}' specified multiple times\n{usage('set')}", 2)
        wanted[name] = value
    for name in names:
        _set_on(machine, existing(machine, name), wanted, remount="u" not in given)


def _set_on(machine: Machine, name: str, wanted: dict[str, str], *, remount: bool) -> None:
    complaint = f"cannot set property for '{name}'"
    stored: dict[str, str] = {}
    for prop, value in wanted.items():
        stored[prop], problem = check(prop, value)
        problem = problem or _refused(machine, name, prop, stored[prop])
        if problem:
            raise Refusal(f"{complaint}: {problem}", 255)
    with_mounts = remount and "@" not in name
    if "mountpoint" in stored and with_mounts:
        move_mountpoint(machine, name, stored.pop("mountpoint"))
    record = machine.pool.get(name)
    assert record is not None
    record["props"].update(stored)
    machine.pool.changed(name)
    if with_mounts:
        _follow(machine, name, stored)


def _refused(machine: Machine, name: str, prop: str, value: str) -> str:
    if "@" in name and prop in NATIVE:
        return "this property can not be modified for snapshots"
    if prop in LIMITS and value != "0":
        values = Values(machine)
        if prop in ("quota", "refquota"):
            used = int(values.get(name, "used" if prop == "quota" else "referenced")[0])
            if int(value) < used:
                return "size is less than current used or reserved space"
        elif int(value) > values.free():
            return "size is greater than available space"
    return ""


def _follow(machine: Machine, name: str, stored: Iterable[str]) -> None:
    stored = set(stored)
    mounted = bool(machine.mounts.of(name))
    if "canmount" in stored:
        canmount = machine.pool.value(name, "canmount")[0]
        if canmount == "off" and mounted:
            detach(machine, by_mountpoint(machine, [name]))
        elif canmount == "on" and not mounted and mountable(machine, name):
            attach(machine, name)
    if stored & _MOUNTED_WITH:
        for each in machine.pool.below(name):
            key = machine.mounts.of(each)
            if key:
                machine.mounts.table[key]["options"] = mount_options(machine, each)
                machine.state.touch("mounts", key)


def move_mountpoint(machine: Machine, name: str, value: str | None) -> None:
    """Set the mountpoint (None: inherit it) and move what is mounted there by zfs itself."""
    pool = machine.pool
    affected = inheriting(machine, name)
    mounted = by_mountpoint(machine, affected)
    was_legacy = pool.value(name, "mountpoint")[0] in ("legacy", "none")
    if value is not None and pool.value(name, "mountpoint") == (value, "local"):
        return
    detach(machine, mounted, tidy=True)
    if value is None:
        pool.datasets[name]["props"].pop("mountpoint", None)
    else:
        pool.datasets[name]["props"]["mountpoint"] = value
    pool.changed(name)
    for each in affected:
        if (each in mounted or was_legacy) and mountable(machine, each) and not machine.mounts.of(each):
            attach(machine, each)
        elif each in mounted and pool.value(each, "mountpoint")[0].startswith("/"):
            attach(machine, each)  # canmount=noauto stays mounted, elsewhere


def inherit(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs inherit: forget a local value (-S: fall back to the received one; -r: below too)."""
    given, operands = options(argv, "rS", usage("inherit"))
    if not operands:
        raise Refusal(f"missing property argument\n{usage('inherit')}", 2)
    prop = COLUMNS.get(operands[0], operands[0])
    if len(operands) < 2:
        raise Refusal(f"missing dataset argument\n{usage('inherit')}", 2)
    if not known(prop):
        raise Refusal(f"invalid property '{prop}'\n{usage('inherit')}", 2)
    native = NATIVE.get(prop)
    if native and not native.editable:
        raise Refusal(f"{prop} property is read-only")
    if native and not native.inherited and "S" not in given:
        words = {"quota": "none", "reservation": "none", "refquota": "none", "refreservation": "none"}
        default = words.get(prop, native.default)
        raise Refusal(f"'{prop}' property cannot be inherited\nuse 'zfs set {prop}={default}' to clear")
    for name in operands[1:]:
        existing(machine, name)
        for each in machine.pool.below(name) if "r" in given and "@" not in name else [name]:
            _inherit_on(machine, each, prop)


def _inherit_on(machine: Machine, name: str, prop: str) -> None:
    if prop == "mountpoint":
        move_mountpoint(machine, name, None)
        return
    record = machine.pool.get(name)
    assert record is not None
    if record["props"].pop(prop, None) is not None:
        machine.pool.changed(name)
        if "@" not in name:
            _follow(machine, name, [prop])
