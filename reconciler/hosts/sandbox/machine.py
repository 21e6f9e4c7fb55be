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
from reconciler.hosts.sandbox.content import Contents, remove_tree
from reconciler.hosts.sandbox.mounts import Mount, Mounts, Place
from reconciler.hosts.sandbox.pool import Pool
from reconciler.hosts.sandbox.sidecar import Sidecar
from reconciler.hosts.sandbox.state import State
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError

_FOLDERS = [
    "dev",
    "etc",
    "home",
    "mnt",
    "root",
    "tmp",
    "usr/local/etc",
    "usr/sbin",
    "usr/bin",
    "usr/share",
    "var/db",
    "var/log",
    "var/run",
    "var/tmp",
]
_OWN = frozenset({"host", "data", "devfs", "run", "machine", "mirror", "first-process.lock"})


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
        _refuse_other(self.directory)
        self.host.mkdir(parents=True, exist_ok=True)
        self.state = State(self.directory / "state.db")
        self.contents = Contents(self.directory / "data")
        self.pool = Pool(self.state)
        self.mounts = Mounts(self.directory, self.state, self.pool, self.contents)
        self._sidecars: dict[Path, Sidecar] = {}
        self._commands: dict[str, Simulated] = {}
        for module in pkgutil.iter_modules(_commands.__path__):
            offered: Simulated = importlib.import_module(f"{_commands.__name__}.{module.name}").COMMAND
            for name in offered.names:
                self._commands[name] = offered
        with self.state.reading():
            new = "pool" not in self.state.table("facts")
        if new:
            self._found()

    def _found(self) -> None:
        for folder in _FOLDERS:
            (self.host / folder).mkdir(parents=True, exist_ok=True)
        with self.state.transaction():
            self.pool.found()
            self.mounts.found()
            self.run(Command(("mount", "-t", "devfs", "devfs", "/dev")))

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

    def place(self, path: str, *, follow: bool = True, write: bool = True) -> Place:
        """Where an absolute path of the machine is: its mount, the real tree, and the path in it.

        Links are followed inside the machine only. With `write` (the default) a dataset that still
        shares its tree with a snapshot gets its own first: say `write=False` only for reading, and do
        not keep the result. Raises OSError as the kernel would; the last component may be absent.
        """
        return self.mounts.place(path, follow=follow, write=write)

    def resolve(self, path: str, *, follow: bool = True, write: bool = True) -> Path:
        """The real path behind an absolute path of the machine; see `place`."""
        return self.place(path, follow=follow, write=write).real

    def sidecar(self, place: Place) -> Sidecar:
        """The owners, modes and flags that the machine shows for the tree of a place."""
        if place.tree not in self._sidecars:
            if len(self._sidecars) > 64:
                self._sidecars.clear()
            self._sidecars[place.tree] = Sidecar(place.tree)
        return self._sidecars[place.tree]

    def mounts_below(self, path: str) -> list[Mount]:
        """The mounts at and below a canonical path, deepest first: the order to unmount them in."""
        with self.state.reading():
            keys = self.mounts.below(path)
            top = self.mounts.at(path)
            return [self.mounts.table[key] for key in (*keys, *((top,) if top else ()))]

    def discard(self, contents: set[str]) -> None:
        """Delete trees after this transaction, if no dataset and no snapshot names them any more."""
        kept = {r["content"] for r in self.pool.datasets.values()}
        kept |= {r["content"] for r in self.pool.snapshots.values()}
        for content in contents - kept - {""}:
            self.state.afterwards(lambda content=content: self.contents.remove(content))  # type: ignore[misc]

    def sweep(self) -> None:
        """Delete trees that a killed process left behind."""
        with self.state.transaction():
            wanted = {r["content"] for r in self.pool.datasets.values()}
            self.contents.sweep(wanted | {r["content"] for r in self.pool.snapshots.values()})

    def reboot(self) -> None:
        """Lose what a power cycle loses, then mount what `zfs mount -a` mounts.

        The rc scripts are run by whoever called.
        """
        with self.state.transaction():
            for table in _VOLATILE:
                entries = self.state.table(table)
                for key in list(entries):
                    del entries[key]
                    self.state.touch(table, key)
            for folder in ("tmpfs", "devfs", "unionfs"):
                remove_tree(self.directory / folder)
            self.mounts.found()
            self.run(Command(("mount", "-t", "devfs", "devfs", "/dev")))
            for name, record in self.pool.datasets.items():
                if record["jail"]:
                    record["jail"] = ""
                    self.pool.changed(name)
            self.run(Command(("zfs", "mount", "-a")))
        self.sweep()


# What only lives in the kernel's memory. Devfs rulesets 1 to 5 and the host's own interfaces come back by
# themselves, because whoever reads these tables fills in what a fresh host has.
_VOLATILE = ("jails", "mounts", "rules", "interfaces", "anchors")


def _refuse_other(directory: Path) -> None:
    """Refuse to make a host among the files of something else. Raises HostError (`not-a-sandbox`)."""
    if not directory.is_dir() or (directory / "state.db").exists():
        return
    others = sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith((".", "state.db")))
    if others := [name for name in others if name not in _OWN]:
        detail = f"{directory} holds other things already, such as {others[0]}. Nothing was made there."
        hint = "Give --host sandbox:DIR with a folder that is empty, or not there yet."
        raise HostError(Diagnostic("not-a-sandbox", "The host is no sandbox", detail, hint))
