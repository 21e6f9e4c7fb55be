"""The door through which processes inside reach the simulator: one socket per running task.

Whoever speaks through a jail's door is answered as that jail (`inside.py`), never as the host.
"""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import ReconcilerError

_HEADER_LIMIT = 4 * 1024 * 1024
Answerer = Callable[[Machine, int, Command, str], Completed]
_answerers: list[Answerer] = []


def answer_with(answerer: Answerer) -> Answerer:
    """Register the function that answers `(machine, jid, command, cwd)` for processes inside."""
    _answerers[:] = [answerer]
    return answerer


class Incoming:
    """Standard input of a process inside: read only when the command asks for it."""

    def __init__(self, fd: int) -> None:
        """Wrap a descriptor; whoever starts a process may hand `fd` on as it is."""
        self.fd = fd

    def __iter__(self) -> Iterator[bytes]:
        """Chunks until the end."""
        while piece := os.read(self.fd, 65536):
            yield piece


@contextmanager
def opened(machine: Machine, jid: int) -> Iterator[Path]:
    """A folder with a socket that answers while the context lasts."""
    above = machine.directory / "run"
    above.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="s", dir=above))
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A folder's path may be longer than a socket's may: bind by way of the descriptor.
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        door.bind(f"/proc/self/fd/{handle}/socket")
        door.listen(16)
        thread = threading.Thread(target=_serve, args=(machine, jid, door), daemon=True)
        thread.start()
        yield folder
    finally:
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        door.close()
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _serve(machine: Machine, jid: int, door: socket.socket) -> None:
    while True:
        try:
            link, _ = door.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(machine, jid, link), daemon=True).start()


def _answer(machine: Machine, jid: int, link: socket.socket) -> None:
    with link:
        files: list[int] = []
        try:
            header, files = _request(link)
            if len(files) < 3:
                return
            env = tuple(tuple(pair.split("=", 1)) for pair in header["env"] if "=" in pair)
            command = Command(tuple(header["argv"]), stdin=Incoming(files[0]), env=env)
            completed = _completed(machine, jid, command, str(header["cwd"][0]))
            for fd, data in ((files[1], completed.stdout), (files[2], completed.stderr)):
                _write(fd, data)
            link.sendall(f"{completed.status}\n".encode())
        except (OSError, ValueError, KeyError):
            return
        finally:
            for fd in files:
                os.close(fd)


def _completed(machine: Machine, jid: int, command: Command, cwd: str) -> Completed:
    try:
        return _answerers[0](machine, jid, command, cwd)
    except ReconcilerError as error:
        return Completed(command.argv, 126, b"", f"{error}\n".encode())


def _request(link: socket.socket) -> tuple[dict[str, Any], list[int]]:
    size, ancillary, _flags, _address = link.recvmsg(8, socket.CMSG_SPACE(3 * 4))
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    left = int.from_bytes(size, "big")
    if left > _HEADER_LIMIT:
        return {}, list(numbers)
    data = b""
    while len(data) < left and (piece := link.recv(left - len(data))):
        data += piece
    return json.loads(data), list(numbers)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    with suppress(BrokenPipeError):
        while view:
            view = view[os.write(fd, view) :]
