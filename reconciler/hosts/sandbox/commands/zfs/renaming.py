"""zfs rename and promote."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.creating import make_parents
from reconciler.hosts.sandbox.commands.zfs.mounting import attach, by_mountpoint, detach, refuse_busy
from reconciler.hosts.sandbox.commands.zfs.names import existing, wrong
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine


def rename(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs rename of datasets with all below (-p makes parents, -u leaves them unmounted) and snapshots."""
    given, operands = options(argv, "pruf", usage("rename"))
    if len(operands) != 2:
        problem = ("missing source dataset argument", "missing target dataset argument", "too many arguments")
        raise Refusal(f"{problem[min(len(operands), 2)]}\n{usage('rename')}", 2)
    old, new = operands
    existing(machine, old)
    if "@" in old:
        _snapshot(machine, old, new, recursive="r" in given)
        return
    if "r" in given:
        raise Refusal(f"cannot rename '{old}': source dataset must be a snapshot\n{usage('rename')}", 2)
    _refuse(machine, old, new, parents="p" in given)
    if "p" in given:
        make_parents(machine, new)
    mounted = by_mountpoint(machine, machine.pool.below(old))
    if "u" not in given:
        refuse_busy(machine, [name for name in machine.pool.below(old) if machine.mounts.of(name)])
        detach(machine, mounted, tidy=True)
    renamed = {name: new + name[len(old) :] for name in machine.pool.below(old)}
    for name, target in renamed.items():
        machine.pool.move(name, target)
        _retitle(machine, name, target)
    if "u" not in given:
        for name in mounted:
            if machine.pool.value(renamed[name], "mountpoint")[0].startswith("/"):
                attach(machine, renamed[name])


def _retitle(machine: Machine, old: str, new: str) -> None:
    for key, mount in machine.mounts.table.items():
        if mount["fstype"] == "zfs" and mount["source"].split("@")[0] == old:
            mount["source"] = new + mount["source"][len(old) :]
            machine.state.touch("mounts", key)


def _refuse(machine: Machine, old: str, new: str, *, parents: bool) -> None:
    pool = machine.pool
    if problem := wrong(new):
        raise Refusal(f"cannot create '{new}': {problem}")
    if "/" not in old:
        raise Refusal(f"cannot open '{old}': operation not applicable to datasets of this type")
    if new.split("/")[0] != old.split("/")[0]:
        raise Refusal(f"cannot rename to '{new}': datasets must be within same pool")
    if new.startswith(old + "/"):
        raise Refusal(f"cannot rename to '{new}': New dataset name cannot be a descendant of current dataset name")
    if not parents and new.rpartition("/")[0] not in pool.datasets:
        raise Refusal(f"cannot create '{new}': parent does not exist")
    if new in pool.datasets:
        raise Refusal(f"cannot rename '{old}': dataset already exists")


def _snapshot(machine: Machine, old: str, new: str, *, recursive: bool) -> None:
    owner, short = old.split("@")
    target = new.removeprefix("@") if new.startswith("@") or "@" not in new else new.split("@")[1]
    if "@" in new and not new.startswith("@") and new.split("@")[0] != owner:
        raise Refusal(f"cannot rename to '{new}': snapshots must be part of same dataset")
    if problem := wrong(f"{owner}@{target}", snapshot=True):
        raise Refusal(f"cannot create '{new}': {problem}")
    owners = machine.pool.below(owner) if recursive else [owner]
    moves = [(f"{each}@{short}", f"{each}@{target}") for each in owners if f"{each}@{short}" in machine.pool.snapshots]
    for before, after in moves:
        if after in machine.pool.snapshots:
            raise Refusal(f"cannot rename '{before}': dataset already exists")
    for before, after in moves:
        machine.pool.move(before, after)


def promote(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs promote: the clone takes the snapshots it stands on."""
    _given, operands = options(argv, "", usage("promote"))
    if len(operands) != 1:
        problem = "missing clone filesystem argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('promote')}", 2)
    name = existing(machine, operands[0])
    if "@" in name:
        raise Refusal(f"cannot promote '{name}': snapshots can not be promoted")
    record = machine.pool.datasets[name]
    if not record["origin"]:
        raise Refusal(f"cannot promote '{name}': not a cloned filesystem")
    parent, short = record["origin"].split("@")
    snaps = machine.pool.datasets[parent]["snaps"]
    for each in snaps[: snaps.index(short) + 1]:
        if each in record["snaps"]:
            raise Refusal(f"cannot promote '{name}': conflicting snapshot '{each}' from parent '{parent}'")
    machine.pool.promote(name)
