"""ps(1): of the processes of one jail (`-J`), which the machine's own ps cannot tell apart; else that one answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.hosts.sandbox import jailtable, processes
from reconciler.hosts.sandbox.commands import sh
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.userland import PLACE
from reconciler.model.command import Command, Completed


def main(machine: Machine, command: Command) -> Completed:
    """Print `PID COMMAND` of each process in the jail; status 1 where there is none, as on FreeBSD."""
    words = list(command.argv)
    if "-J" not in words[:-1]:
        own = replace(command, argv=(f"{PLACE}/bin/ps", *words[1:]))
        return replace(sh.main(machine, own), argv=command.argv)
    name = words[words.index("-J") + 1]
    with machine.state.reading():
        record = jailtable.find(machine, name)
        if record is None:
            return Completed(command.argv, 1, b"", f"ps: {jailtable.missing(name)}\n".encode())
        found = processes.members(record)
    lines = [f"{pid} {_spoken(pid)}\n" for pid in sorted(found)]
    return Completed(command.argv, 0 if lines else 1, "".join(lines).encode())


def _spoken(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(gone)"


COMMAND = Simulated(("ps",), main, transaction=False)
