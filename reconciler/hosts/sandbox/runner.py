"""The sandbox machine as a host: the same few methods that a local or remote host offers."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from reconciler.hosts.sandbox import beneath
from reconciler.hosts.sandbox.answer import reason
from reconciler.hosts.sandbox.flock import hold
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.mounts import Place
from reconciler.model.command import UNREAD, Command, Completed, Runner
from reconciler.model.diagnostic import Diagnostic, HostError


class SandboxRunner(Runner):
    """A `Runner` that answers from a machine in this process."""

    def __init__(self, machine: Machine | Path) -> None:
        """Take a machine, or open the one in a folder."""
        self.machine = machine if isinstance(machine, Machine) else Machine(machine)

    def run(self, command: Command) -> Completed:
        """Run one command to its end; see `Runner.run`."""
        heard = []

        def pass_on(data: bytes) -> None:
            heard.append(len(data))
            if command.output is not None:
                command.output(data)

        try:
            limit = command.limit if command.sink is None else 1 << 40
            done = self.machine.run(replace(command, output=pass_on, limit=limit))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise timed_out(command) from error
        except (OSError, sqlite3.Error) as error:
            raise _failed(f"{' '.join(command.argv[:2])}: {error}", command.argv) from error
        if command.output is not None and not heard:  # else it was heard while it ran
            for chunk in (done.stdout, done.stderr):
                if chunk:
                    command.output(chunk)
        if command.sink is not None:
            command.sink(done.stdout)
            return Completed(done.argv, done.status, b"", done.stderr[: command.limit])
        return Completed(done.argv, done.status, done.stdout[: command.limit], done.stderr[: command.limit])

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run read-only commands one after the other."""
        return [self.run(command) for command in commands]

    def _place(self, path: str, *, write: bool) -> Place | None:
        """Where a path is, None when it or a folder above is absent; HostError when a link is in it."""
        try:
            place = self.machine.place(path, follow=False, write=write)
            link = stat.S_ISLNK(os.lstat(place.real).st_mode)
        except FileNotFoundError:
            link = False
            try:
                place = self.machine.place(path, follow=False, write=write)
            except FileNotFoundError:
                return None
        except OSError as error:
            raise _failed(f"{path}: {reason(error)}") from error
        if link or place.path != os.path.normpath(path):
            raise _link(path)
        return place

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none; HostError for a link in the path."""
        place = self._place(path, write=False)
        if place is None:
            return None
        try:
            return beneath.read(place.tree, place.inside)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise (_link(path) if error.errno == errno.ELOOP else _failed(f"{path}: {reason(error)}")) from error

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole: temporary file beside it, fsync, rename. Parents must exist."""
        place = self._place(path, write=True)
        if place is None:
            raise _failed(f"{path}: No such file or directory")
        if not self.machine.mounts.writable(place.mount):
            raise _failed(f"{path}: Read-only file system")
        try:
            beneath.write(place.tree, place.inside, data, mode)
        except OSError as error:
            raise (_link(path) if error.errno == errno.ELOOP else _failed(f"{path}: {reason(error)}")) from error
        sidecar = self.machine.sidecar(place)
        sidecar.drop(place.inside)
        sidecar.flush()

    def tree(self, path: str) -> dict[str, bytes]:
        """All regular files below a folder, by path relative to it, through what is mounted below.

        {} when absent. Links are left out.
        """
        top = os.path.normpath(path)
        found = self._tree(top)
        # Parents before what covers them: a mount hides what its mount point held.
        for target in sorted({mount["target"] for mount in self.machine.mounts_below(top)} - {top}):
            below = target[len(top) :].lstrip("/")
            for hidden in [name for name in found if name.startswith(below + "/")]:
                del found[hidden]
            found |= {f"{below}/{name}": data for name, data in self._tree(target).items()}
        return dict(sorted(found.items()))

    def _tree(self, path: str) -> dict[str, bytes]:
        place = self._place(path, write=False)
        if place is None or not place.real.is_dir():
            return {}
        found: dict[str, bytes] = {}
        pending = [""]
        while pending:
            inside = pending.pop()
            for name in sorted(os.listdir(place.real / inside)):
                below = f"{inside}/{name}" if inside else name
                mode = os.lstat(place.real / below).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(below)
                elif stat.S_ISREG(mode) and not name.startswith(UNREAD):
                    found[below] = beneath.read(place.tree, f"{place.inside}/{below}".lstrip("/"))
        return found

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Hold flock(2) on a file of the machine; Refused (code `locked`) names who has it."""
        return hold(*self.lock_place(path), path, holder)

    def lock_place(self, path: str) -> tuple[Path, str]:
        """Where the file of a lock lies: a folder of this machine, and the path below it."""
        place = self._place(path, write=True)
        if place is None:
            raise _failed(f"{path}: No such file or directory")
        return place.tree, place.inside


def timed_out(command: Command) -> HostError:
    """The error of a command that did not end in its time."""
    detail = f"`{' '.join(command.argv)}` did not end within {command.timeout:g} seconds."
    hint = "Run it by hand to see what it waits for, or give it more time."
    diagnostic = Diagnostic("host-timeout", "A command on the host did not end in time.", detail, hint)
    return HostError(diagnostic, argv=command.argv, transient=True)


def _link(path: str) -> HostError:
    detail = f"{path} is, or leads through, a symbolic link; from the host none is followed."
    return HostError(Diagnostic("host-symlink", "A symbolic link stands where a file of ours belongs.", detail))


def _failed(detail: str, argv: tuple[str, ...] = ()) -> HostError:
    return HostError(Diagnostic("host-file", "The sandbox could not reach a file.", detail), argv=argv)
