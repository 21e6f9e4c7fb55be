"""A sandbox machine that answers from a process of its own: `python -m reconciler.hosts.sandbox.serve DIR`.

It ends when it has been idle, or with `--with-parent` when its standard input is closed.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox import wire
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.model.command import Command
from reconciler.model.diagnostic import ReconcilerError


class Server:
    """Answers each connection in a thread of its own."""

    def __init__(self, directory: Path, idle: float) -> None:
        """Open the machine and listen; `idle` is in seconds."""
        self.runner = SandboxRunner(Machine(directory))
        self.runner.machine.sweep()
        self.idle = idle
        self.busy = 0
        self.commands = 0
        self.last = time.monotonic()
        self.path = wire.address(directory)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        Path(self.path).unlink(missing_ok=True)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self.listener.listen(128)

    def serve(self) -> None:
        """Until nobody has asked anything for `idle` seconds."""
        self.listener.settimeout(min(self.idle, 5.0))
        while self.busy or time.monotonic() - self.last < self.idle:
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()
        Path(self.path).unlink(missing_ok=True)

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                while True:
                    _tag, data = wire.receive(connection)
                    self.busy += 1
                    try:
                        self._answer(connection, json.loads(data))
                    finally:
                        self.busy -= 1
                        self.last = time.monotonic()
            except (EOFError, OSError):
                return

    def _answer(self, connection: socket.socket, request: dict[str, Any]) -> None:
        stdin = _stdin(connection)
        try:
            result, out, err = self._do(connection, request, stdin)
        except ReconcilerError as error:
            result, out, err = _error(error), b"", b""
        for _rest in stdin:
            continue  # what the command did not read
        wire.send_bytes(connection, b"1", [out])
        wire.send_bytes(connection, b"2", [err])
        wire.send_json(connection, b"R", result)

    def _do(
        self, connection: socket.socket, request: dict[str, Any], stdin: Iterator[bytes]
    ) -> tuple[dict[str, Any], bytes, bytes]:
        verb = request["verb"]
        if verb == "count":  # for measurements: what would have been processes on a host, so far
            return {"commands": self.commands}, b"", b""
        if verb == "lock":  # where its file lies: whoever asks holds it
            tree, inside = self.runner.lock_place(request["path"])
            return {"tree": str(tree), "inside": inside}, b"", b""
        self.commands += 1
        if verb == "run":
            live = (lambda chunk: wire.send_bytes(connection, b"L", [chunk])) if request["live"] else None
            env = tuple((name, value) for name, value in request["env"])
            command = Command(tuple(request["argv"]), stdin, request["timeout"], env, request["limit"], live)
            done = self.runner.run(command)
            return {"status": done.status}, done.stdout, done.stderr
        if verb == "read":
            data = self.runner.read(request["path"])
            return {"found": data is not None}, data or b"", b""
        if verb == "write":
            self.runner.write(request["path"], b"".join(stdin), request["mode"])
            return {}, b"", b""
        if verb == "trees":
            return self._trees(connection, request["paths"])
        files = self.runner.tree(request["path"])
        return {"sizes": [[name, len(data)] for name, data in files.items()]}, b"".join(files.values()), b""


    def _trees(self, connection: socket.socket, paths: list[str]) -> tuple[dict[str, Any], bytes, bytes]:
        """The content of all as standard output; as standard error, for each folder names and sizes by turns."""
        listed = []
        for path in paths:
            files = self.runner.tree(path)
            wire.send_bytes(connection, b"1", [b"".join(files.values())])
            listed.append([word for name, data in files.items() for word in (name, len(data))])
        return {}, b"", json.dumps(listed).encode()


def _stdin(connection: socket.socket) -> Iterator[bytes]:
    while True:
        tag, data = wire.receive(connection)
        if tag == b".":
            return
        yield data


def _error(error: ReconcilerError) -> dict[str, Any]:
    first = error.diagnostics[0]
    return {
        "error": type(error).__name__, "code": first.code, "summary": first.summary, "detail": first.detail,
        "hint": first.hint, "transient": bool(getattr(error, "transient", False)),
    }  # fmt: skip


def main() -> None:
    """Serve until idle."""
    parser = argparse.ArgumentParser(prog="reconciler.hosts.sandbox.serve")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--idle", type=float, default=600.0, help="seconds without a request before it ends")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input is closed")
    given = parser.parse_args()
    server = Server(given.directory, given.idle)
    if given.with_parent:
        threading.Thread(target=_end_with_input, args=(server.path,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve()


def _end_with_input(path: str) -> None:
    sys.stdin.buffer.read()
    Path(path).unlink(missing_ok=True)
    os._exit(0)


if __name__ == "__main__":
    main()
