"""A small host in a dict: real enough to see what a wrapper let through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reconciler.model.command import Command, Completed, Runner
from reconciler.model.diagnostic import Diagnostic, HostError, Refused


class MemoryHost(Runner):
    """Datasets are a set of names, files a dict. `outage` calls to come fail before their effect."""

    def __init__(self) -> None:
        self.datasets = {"zroot"}
        self.files: dict[str, bytes] = {}
        self.locked: set[str] = set()
        self.outage = 0

    def run(self, command: Command) -> Completed:
        self._reach()
        match command.argv:
            case ("zfs", "list", *_):
                return Completed(command.argv, 0, "".join(f"{n}\n" for n in sorted(self.datasets)).encode())
            case ("zfs", "create", name) if name not in self.datasets:
                self.datasets.add(name)
                return Completed(command.argv, 0)
            case ("zfs", "create", name):
                return Completed(command.argv, 1, stderr=f"cannot create '{name}': dataset already exists\n".encode())
            case ("cat", path) if path in self.files:
                return Completed(command.argv, 0, self.files[path])
        return Completed(command.argv, 127, stderr=b"not found\n")

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        return [self.run(command) for command in commands]

    def read(self, path: str) -> bytes | None:
        self._reach()
        return self.files.get(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self._reach()
        self.files[path] = data

    def tree(self, path: str) -> dict[str, bytes]:
        self._reach()
        start = path.rstrip("/") + "/"
        return {name.removeprefix(start): data for name, data in self.files.items() if name.startswith(start)}

    @contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        if path in self.locked:
            raise Refused(Diagnostic("locked", "Another run holds the lock", path))
        self.locked.add(path)
        try:
            yield
        finally:
            self.locked.discard(path)

    def _reach(self) -> None:
        if self.outage:
            self.outage -= 1
            raise HostError(Diagnostic("host-unreachable", "The host cannot be reached"), transient=True)
