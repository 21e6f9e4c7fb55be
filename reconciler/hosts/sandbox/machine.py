"""The sandbox machine: finds the command that answers an argument vector, and where paths lie.

`DIR/state.db` holds the state, `DIR/host` is the machine's `/`, `DIR/data/ID` the content of each
dataset and snapshot.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.hosts.sandbox import commands as _commands
from reconciler.hosts.sandbox.state import State
from reconciler.model.command import Command, Completed


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a file in `commands/` offers: the names it answers, and the function that answers.

    `main(machine, command)` runs inside a state transaction unless `transaction` is False
    (commands that run real processes open their own).
    """

    names: tuple[str, ...]
    main: Callable[[Machine, Command], Completed]
    transaction: bool = True


class Machine:
    """A simulated FreeBSD host in `directory`."""

    def __init__(self, directory: Path, *, unconfined: bool = False) -> None:
        """Open the machine, making it when the folder is new."""
        self.directory = directory.resolve()
        self.unconfined = unconfined
        self.host = self.directory / "host"
        self.host.mkdir(parents=True, exist_ok=True)
        self.state = State(self.directory / "state.db")
        self._commands: dict[str, Simulated] = {}
        for module in pkgutil.iter_modules(_commands.__path__):
            offered: Simulated = importlib.import_module(f"{_commands.__name__}.{module.name}").COMMAND
            for name in offered.names:
                self._commands[name] = offered

    def run(self, command: Command) -> Completed:
        """Answer one command line as FreeBSD would: status 127 when there is no such command."""
        name = command.argv[0].rsplit("/", 1)[-1]
        offered = self._commands.get(name)
        if offered is None:
            return Completed(command.argv, 127, b"", f"{name}: not found\n".encode())
        if not offered.transaction:
            return offered.main(self, command)
        with self.state.transaction():
            return offered.main(self, command)
