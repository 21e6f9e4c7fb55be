"""How a client and the server of a sandbox speak: frames of a tag, a length and bytes on a Unix socket.

`Q` a request as JSON, `I` a chunk of standard input, `.` the end of what was being sent, `L` output as
it comes, `1` and `2` what belongs to standard output and error, `R` the result as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_HEAD = struct.Struct("!cI")
CHUNK = 1024 * 1024
_LONGEST = 100


def address(directory: Path) -> str:
    """The socket of a machine: in its folder, or under a short name when that path is too long."""
    path = str(directory.resolve() / "socket")
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"reconciler-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    return str(folder / digest)


def send(connection: socket.socket, tag: bytes, data: bytes = b"") -> None:
    """One frame."""
    connection.sendall(_HEAD.pack(tag, len(data)) + data)


def send_json(connection: socket.socket, tag: bytes, value: dict[str, Any]) -> None:
    """One frame of JSON."""
    send(connection, tag, json.dumps(value).encode())


def send_bytes(connection: socket.socket, tag: bytes, chunks: Iterable[bytes]) -> None:
    """Any amount of bytes, in frames."""
    for chunk in chunks:
        for start in range(0, len(chunk), CHUNK):
            send(connection, tag, chunk[start : start + CHUNK])


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """The next frame; EOFError when the other side has gone."""
    tag, length = _HEAD.unpack(_exactly(connection, _HEAD.size))
    return tag, _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    # One buffer: what comes in pieces is small, and pieces that were asked for large hold a lot of memory.
    whole = bytearray(length)
    rest = memoryview(whole)
    while rest:
        count = connection.recv_into(rest)
        if not count:
            raise EOFError("the sandbox server has gone")
        rest = rest[count:]
    return bytes(whole)
