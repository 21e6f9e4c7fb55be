"""zfs hold, release and holds."""

from __future__ import annotations

import time
from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.names import existing
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine


def _snapshots(machine: Machine, name: str, what: str, *, recursive: bool) -> list[str]:
    if "@" not in name:
        raise Refusal(f"'{name}' is not a snapshot\n{usage(what.split()[0])}", 2)
    owner, short = name.split("@", 1)
    existing(machine, owner)
    names = [f"{each}@{short}" for each in (machine.pool.below(owner) if recursive else [owner])]
    found = [each for each in names if each in machine.pool.snapshots]
    if not found:
        raise Refusal(f"cannot {what} snapshot '{name}': dataset does not exist")
    return found


def hold(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs hold [-r] tag snapshot..."""
    given, operands = options(argv, "r", usage("hold"))
    if len(operands) < 2:
        raise Refusal(f"missing {'snapshot' if operands else 'tag'} argument\n{usage('hold')}", 2)
    tag = operands[0]
    if tag.startswith("."):
        raise Refusal("tag may not start with '.'")
    for operand in operands[1:]:
        for name in _snapshots(machine, operand, "hold", recursive="r" in given):
            holds = machine.pool.snapshots[name]["holds"]
            if tag in holds:
                raise Refusal(f"cannot hold snapshot '{name}': tag already exists on this dataset")
            holds[tag] = int(time.time())
            machine.pool.changed(name)


def release(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs release [-r] tag snapshot...; a deferred destroy may happen now."""
    given, operands = options(argv, "r", usage("release"))
    if len(operands) < 2:
        raise Refusal(f"missing {'snapshot' if operands else 'tag'} argument\n{usage('release')}", 2)
    tag = operands[0]
    for operand in operands[1:]:
        names = _snapshots(machine, operand, "release hold from", recursive="r" in given)
        held = [name for name in names if tag in machine.pool.snapshots[name]["holds"]]
        if not held:
            raise Refusal(f"cannot release hold from snapshot '{operand}': no such tag on this dataset")
        for name in held:
            content = machine.pool.snapshots[name]["content"]
            del machine.pool.snapshots[name]["holds"][tag]
            machine.pool.changed(name)
            machine.pool.settle(name)
            machine.discard({content})


def holds(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs holds [-rHp] snapshot..."""
    given, operands = options(argv, "rHp", usage("holds"))
    if not operands:
        raise Refusal(f"missing snapshot argument\n{usage('holds')}", 2)
    rows: list[tuple[str, str, str]] = []
    for operand in operands:
        owner, at, short = operand.partition("@")
        if not at:
            raise Refusal(f"'{operand}' is not a snapshot\n{usage('holds')}", 2)
        existing(machine, owner)
        if "r" not in given:
            existing(machine, operand)
        for each in machine.pool.below(owner) if "r" in given else [owner]:
            record = machine.pool.snapshots.get(f"{each}@{short}")
            for tag, when in (record["holds"] if record else {}).items():
                stamp = time.strftime("%a %b %e %H:%M %Y", time.gmtime(when))
                rows.append((f"{each}@{short}", tag, str(when) if "p" in given else stamp))
    if "H" in given:
        for row in rows:
            answer.say("\t".join(row))
    elif rows:
        rows.insert(0, ("NAME", "TAG", "TIMESTAMP"))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, tag, stamp in rows:
            answer.say(f"{name:<{widths[0]}}  {tag:<{widths[1]}}  {stamp}")
