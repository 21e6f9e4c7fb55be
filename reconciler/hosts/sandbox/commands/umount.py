"""umount(8)."""

from __future__ import annotations

from reconciler.hosts.sandbox.answer import Answer, Refusal, options, reason
from reconciler.hosts.sandbox.fstab import read
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

_USAGE = (
    "usage: umount [-dfNnv] special ... | node ... | fsid ...\n"
    "       umount -a | -A [-F fstab] [-fnv] [-h host] [-t type]"
)


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    try:
        given, operands = options(command.argv[1:], "AadF:fh:Nnt:v", _USAGE, 1)
        force = "f" in given
        if "a" in given or "A" in given:
            _all(machine, answer, given, force)
        elif not operands:
            raise Refusal(_USAGE)
        for operand in operands:
            _unmount(machine, answer, operand, force)
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    return answer.completed(command)


def _find(machine: Machine, operand: str) -> str:
    mounts = machine.mounts
    for key in sorted(mounts.table, reverse=True):
        if mounts.table[key]["target"] == operand:
            return key
    try:
        place = machine.place(operand, write=False) if operand.startswith("/") else None
        if place is not None:
            place.real.lstat()
    except OSError:
        place = None
    if place is not None and (found := mounts.at(place.path)):
        return found
    for key in sorted(mounts.table, reverse=True):
        if mounts.table[key]["source"] == operand:
            return key
    if place is None:
        raise Refusal(f"umount: {operand}: unknown file system")
    raise Refusal(f"umount: {operand}: not a file system root directory")


def _unmount(machine: Machine, answer: Answer, operand: str, force: bool) -> None:
    try:
        key = _find(machine, operand)
    except Refusal as refusal:
        answer.warn(refusal.message)
        return
    target = machine.mounts.table[key]["target"]
    if target == "/" or machine.mounts.busy(key, force=force):
        answer.warn(f"umount: unmount of {target} failed: Device busy")
        return
    machine.mounts.remove(key)


def _all(machine: Machine, answer: Answer, given: dict[str, list[str]], force: bool) -> None:
    """Every mount of an fstab that is mounted (-a), or of the table but / and /dev (-A), last first."""
    kinds = ",".join(given.get("t", [])).split(",") if "t" in given else []
    if "A" in given:
        rows = [
            (m["target"], m["source"], m["fstype"]) for m in machine.mounts.all() if m["target"] not in ("/", "/dev")
        ]
    else:
        path = given.get("F", ["/etc/fstab"])[-1]
        try:
            lines = read(machine.resolve(path, write=False).read_text(errors="surrogateescape"))
        except OSError as error:
            raise Refusal(f"umount: {path}: {reason(error)}") from error
        rows = [(line.target, line.source, line.fstype) for line in lines]
    for target, source, fstype in reversed(rows):
        if target == "/" or (kinds and fstype not in kinds):
            continue
        try:
            key = machine.mounts.at(machine.place(target, write=False).path)
        except OSError:
            continue
        if key and (machine.mounts.table[key]["source"] == source or fstype in ("devfs", "tmpfs", "fdescfs")):
            _unmount(machine, answer, target, force)


COMMAND = Simulated(("umount",), _main)
