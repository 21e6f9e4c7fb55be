"""pkill(1): of the processes of one jail (`-j`), which the machine's own cannot tell apart; else that one answers."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from reconciler.hosts.sandbox import jailtable, processes
from reconciler.hosts.sandbox.commands import sh
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.userland import PLACE
from reconciler.model.command import Command, Completed

_SIGNALS = {f"-{name.removeprefix('SIG')}": number for name, number in signal.Signals.__members__.items()}


def main(machine: Machine, command: Command) -> Completed:
    """Signal those whose name the pattern is found in; status 1 where there is none, as on FreeBSD."""
    match command.argv[1:]:
        case [number, "-j", name, pattern] if number in _SIGNALS:
            with machine.state.reading():
                record = jailtable.find(machine, name)
                members = processes.members(record) if record is not None else []
            found = [pid for pid in members if re.search(pattern, _name(pid))]
            for pid in found:
                with suppress(OSError):
                    os.kill(pid, _SIGNALS[number])
            return Completed(command.argv, 0 if found else 1)
        case _:
            own = replace(command, argv=(f"{PLACE}/bin/pkill", *command.argv[1:]))
            return replace(sh.main(machine, own), argv=command.argv)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


COMMAND = Simulated(("pkill",), main, transaction=False)
