"""zfs snapshot and rollback."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.creating import assignments
from reconciler.hosts.sandbox.commands.zfs.names import existing, wrong
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.values import Values


def snapshot(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs snapshot: all names together or none."""
    given, operands = options(argv, "ro:", usage("snapshot"))
    if not operands:
        raise Refusal(f"missing snapshot argument\n{usage('snapshot')}", 2)
    names: list[str] = []
    for operand in operands:
        names += _expand(machine, operand, recursive="r" in given)
    _refuse(machine, operands, names)
    for text in given.get("o", []):
        if ":" not in text.partition("=")[0]:
            raise Refusal(f"cannot create snapshots : '{text.partition('=')[0]}' is readonly")
    props = assignments(given.get("o", []), "cannot create snapshots ", "snapshot")
    txg = machine.pool.next_txg()
    for name in names:
        take(machine, name, txg, dict(props))


def _expand(machine: Machine, operand: str, *, recursive: bool) -> list[str]:
    if "@" not in operand:
        raise Refusal(
            f"cannot create snapshot '{operand}': missing '@' delimiter in snapshot name\n{usage('snapshot')}",
            2,
        )
    if problem := wrong(operand, snapshot=True):
        raise Refusal(f"cannot create snapshot '{operand}': {problem}")
    owner, short = operand.split("@")
    if owner not in machine.pool.datasets:
        raise Refusal(f"cannot open '{owner}': dataset does not exist\n{usage('snapshot')}", 2)
    return [f"{each}@{short}" for each in (machine.pool.below(owner) if recursive else [owner])]


def _refuse(machine: Machine, operands: Sequence[str], names: list[str]) -> None:
    owners = [name.split("@")[0] for name in names]
    if len(set(owners)) < len(owners):
        raise Refusal("cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created")
    taken = [name for name in names if name in machine.pool.snapshots]
    if taken:
        lines = [f"cannot create snapshot '{name}': dataset already exists" for name in taken]
        if len(names) > 1:
            lines.append("no snapshots were created")
        raise Refusal("\n".join(lines))


def take(machine: Machine, name: str, txg: int, props: dict[str, str]) -> None:
    """Take one snapshot: share the tree when nobody can write it, else copy what changed."""
    owner = name.split("@")[0]
    record = machine.pool.datasets[owner]
    key = machine.mounts.of(owner)
    live = bool(key) and machine.mounts.writable(key or "") and not record["shared"] and record["content"]
    if not live:
        record["shared"] = bool(record["content"])
        machine.pool.add_snapshot(name, txg, record["content"], props)
        return
    values = Values(machine)
    latest = machine.pool.snapshots_of(owner)[-1:] or ([record["origin"]] if record["origin"] else [])
    if latest and record["mark"] and values.written(owner) == 0:
        machine.pool.add_snapshot(name, txg, machine.pool.snapshots[latest[0]]["content"], props)
        return
    # Marked before it is copied: what a process writes meanwhile counts as written later.
    record["mark"] = machine.contents.mark(record["content"])
    machine.pool.add_snapshot(name, txg, machine.contents.copy(record["content"]), props)


def rollback(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs rollback: the dataset shares the snapshot's tree again."""
    given, operands = options(argv, "rRf", usage("rollback"))
    if len(operands) != 1:
        problem = "missing dataset argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('rollback')}", 2)
    name = operands[0]
    if "@" not in name:
        raise Refusal(f"cannot open '{name}': missing '@' delimiter in snapshot name, did you mean to use -r?")
    existing(machine, name)
    owner, short = name.split("@")
    pool = machine.pool
    snaps = pool.datasets[owner]["snaps"]
    newer = [f"{owner}@{each}" for each in snaps[snaps.index(short) + 1 :]]
    clones = [clone for each in newer for clone in pool.clones(each)]
    if newer and not {"r", "R"} & given.keys():
        raise Refusal(
            f"cannot rollback to '{name}': more recent snapshots or bookmarks exist\n"
            "use '-r' to force deletion of the following snapshots and bookmarks:\n" + "\n".join(newer)
        )
    if clones:
        raise Refusal(
            f"cannot rollback to '{name}': clones of previous snapshots exist\n"
            "use '-R' to force deletion of the following clones and dependents:\n" + "\n".join(clones)
        )
    for each in newer:
        if pool.snapshots[each]["holds"]:
            raise Refusal(f"cannot destroy snapshot {each}: it's being held. Run 'zfs holds -r {each}' to see holders.")
    gone = {pool.datasets[owner]["content"], *(pool.remove(each) for each in newer)}
    record = pool.datasets[owner]
    record["content"] = pool.snapshots[name]["content"]
    record["shared"] = bool(record["content"])
    record["mark"] = []
    pool.changed(owner)
    machine.discard(gone)
