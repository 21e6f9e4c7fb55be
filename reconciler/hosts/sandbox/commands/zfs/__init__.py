"""zfs(8) over the sandbox's pool. Each subcommand is a function in a file of its topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.commands.zfs import (
    creating,
    destroying,
    diffing,
    getting,
    holding,
    jailing,
    listing,
    mounting,
    renaming,
    setting,
    snapshotting,
    streaming,
)
from reconciler.hosts.sandbox.commands.zfs.usage import overview
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

_VERBS: dict[str, Callable[[Machine, Answer, Sequence[str]], None]] = {
    "list": listing.list_datasets,
    "get": getting.get,
    "version": getting.version,
    "--version": getting.version,
    "-V": getting.version,
    "set": setting.set_properties,
    "inherit": setting.inherit,
    "create": creating.create,
    "clone": creating.clone,
    "snapshot": snapshotting.snapshot,
    "snap": snapshotting.snapshot,
    "rollback": snapshotting.rollback,
    "destroy": destroying.destroy,
    "rename": renaming.rename,
    "promote": renaming.promote,
    "mount": mounting.mount,
    "unmount": mounting.unmount,
    "umount": mounting.unmount,
    "hold": holding.hold,
    "release": holding.release,
    "holds": holding.holds,
    "diff": diffing.diff,
    "allow": jailing.allow,
    "jail": jailing.jail,
    "unjail": jailing.unjail,
}


def _main(machine: Machine, command: Command) -> Completed:
    if len(command.argv) > 1 and command.argv[1] in ("send", "receive", "recv"):
        return streaming.main(machine, command)
    answer = Answer()
    try:
        if len(command.argv) < 2:
            raise Refusal(f"missing command\n{overview()}", 2)
        verb = command.argv[1]
        if verb not in _VERBS:
            raise Refusal(f"unrecognized command '{verb}'\n{overview()}", 2)
        _VERBS[verb](machine, answer, command.argv[2:])
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    return answer.completed(command)


COMMAND = Simulated(("zfs",), _main)
