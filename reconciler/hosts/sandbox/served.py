"""A `Runner` that asks the server process of a sandbox (`serve.py`)."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox import wire
from reconciler.hosts.sandbox.flock import hold
from reconciler.model.command import Command, Completed, Output, Runner
from reconciler.model.diagnostic import Diagnostic, HostError, Refused
from reconciler.spool import Files, Spool, at


class ServedRunner(Runner):
    """Commands and files through the server; one connection per call that is under way.

    `lock` is taken here, not in the server: the lock belongs to the process that works.
    """

    def __init__(self, directory: Path, *, start: bool = True) -> None:
        """Connect to the server of a machine; with `start`, run one that ends with this process."""
        self.directory = directory.resolve()
        self._free: list[socket.socket] = []
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        if start and not live(self.directory):
            self._start()

    def _start(self) -> None:
        argv = [sys.executable, "-m", "reconciler.hosts.sandbox.serve", str(self.directory), "--with-parent"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise _gone("The server did not start.")

    def close(self) -> None:
        """Leave the server; one that was started here ends."""
        for connection in self._free:
            connection.close()
        self._free = []
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process.wait()

    def run(self, command: Command) -> Completed:
        """Run one command to its end; see `Runner.run`."""
        request = {"verb": "run", "argv": command.argv, "env": command.env, "timeout": command.timeout,
                   "limit": command.limit, "live": command.output is not None}  # fmt: skip
        stdin = (command.stdin,) if isinstance(command.stdin, bytes) else command.stdin
        result, out, err = self._ask(request, stdin, command.output)
        return Completed(command.argv, int(result["status"]), out, err)

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run read-only commands one after the other."""
        return [self.run(command) for command in commands]

    def gather(
        self, commands: Sequence[Command], trees: Sequence[str]
    ) -> tuple[list[Completed], dict[str, Mapping[str, bytes]]]:
        """Run commands, and read folders as one stream that is looked into only when asked."""
        done = self.batch(commands)
        spool = Spool()
        _result, _, names = self._ask({"verb": "trees", "paths": list(trees)}, spool=spool.write)
        index = _Index(names)
        digest = hashlib.sha256(names).hexdigest() + spool.digest
        return done, {path: Files(spool, partial(index.of, n), digest) for n, path in enumerate(trees)}

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none."""
        result, out, _ = self._ask({"verb": "read", "path": path})
        return out if result["found"] else None

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole."""
        self._ask({"verb": "write", "path": path, "mode": mode}, (data,))

    def tree(self, path: str) -> dict[str, bytes]:
        """All regular files below a folder, by path relative to it."""
        result, out, _ = self._ask({"verb": "tree", "path": path})
        found, start = {}, 0
        for name, size in result["sizes"]:
            found[name] = out[start : start + size]
            start += size
        return found

    def count(self) -> int:
        """How many commands the server has answered, for measurements; a folder that was read is one."""
        return int(self._ask({"verb": "count"})[0]["commands"])

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Hold a kernel lock; Refused (code `locked`) names who has it."""
        place, _, _ = self._ask({"verb": "lock", "path": path})
        return hold(Path(place["tree"]), place["inside"], path, holder)

    def _ask(
        self,
        request: dict[str, Any],
        stdin: Iterable[bytes] = (),
        output: Output | None = None,
        spool: Output | None = None,
    ) -> tuple[dict[str, Any], bytes, bytes]:
        with self._lock:
            connection = self._free.pop() if self._free else None
        try:
            connection = connection or _connect(self.directory)
            wire.send_json(connection, b"Q", request)
            wire.send_bytes(connection, b"I", stdin)
            wire.send(connection, b".")
            result, out, err = _reply(connection, output, spool)
        except (OSError, EOFError) as error:
            if connection is not None:
                connection.close()
            raise _gone(f"{self.directory}: {error}") from error
        with self._lock:
            self._free.append(connection)
        if "error" in result:
            raise _raised(result)
        return result, out, err


class _Index:
    """Which part of a stream each file of several folders is: read when one of the folder is asked for."""

    def __init__(self, names: bytes) -> None:
        """`names` is JSON: for each folder, names and sizes by turns."""
        self._names = names

    def of(self, number: int) -> Iterator[tuple[str, int]]:
        """The files of one folder."""
        folders = json.loads(self._names)
        offset = sum(sum(listed[1::2]) for listed in folders[:number])
        for name, size in zip(folders[number][::2], folders[number][1::2], strict=True):
            yield name, at(offset, size)
            offset += size


def live(directory: Path) -> bool:
    """Whether a server answers for the machine in this folder."""
    try:
        _connect(directory).close()
    except OSError:
        return False
    return True


def _connect(directory: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(wire.address(directory))
    except OSError:
        connection.close()
        raise
    return connection


def _reply(
    connection: socket.socket, output: Output | None, spool: Output | None
) -> tuple[dict[str, Any], bytes, bytes]:
    """The answer; standard output goes into `spool` where there is one."""
    parts: dict[bytes, list[bytes]] = {b"1": [], b"2": []}
    while True:
        tag, data = wire.receive(connection)
        if tag == b"R":
            result: dict[str, Any] = json.loads(data)
            return result, b"".join(parts[b"1"]), b"".join(parts[b"2"])
        if tag == b"L":
            if output is not None:
                output(data)
        elif tag == b"1" and spool is not None:
            spool(data)
        else:
            parts[tag].append(data)


def _raised(result: dict[str, Any]) -> HostError | Refused:
    diagnostic = Diagnostic(result["code"], result["summary"], result["detail"], result["hint"])
    if result["error"] == "Refused":
        return Refused(diagnostic)
    return HostError(diagnostic, transient=bool(result["transient"]))


def _gone(detail: str) -> HostError:
    diagnostic = Diagnostic("host-unreachable", "The sandbox server does not answer.", detail, "Try again.")
    return HostError(diagnostic, transient=True)
