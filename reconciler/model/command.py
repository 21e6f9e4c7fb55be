"""One process on a host: what is asked, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

Output = Callable[[bytes], None]

UNREAD = "console.log"
"""What `tree` leaves out, by the beginning of a file's name: logs grow without end, and say nothing of a state."""


@dataclass(frozen=True, slots=True)
class Command:
    """An argument vector, never a shell string.

    `stdin` is bytes or an iterable of chunks (streamed); `timeout` is in seconds, and generous: it ends
    what hangs, not what is slow on a small or emulated machine; `limit` bounds the bytes kept of each
    output stream; `output` sees chunks of both streams as they come. With `sink`, standard output goes there,
    in order and without limit, and is not kept.
    """

    argv: tuple[str, ...]
    stdin: bytes | Iterable[bytes] = b""
    timeout: float = 900.0
    env: tuple[tuple[str, str], ...] = ()
    limit: int = 256 * 1024 * 1024
    output: Output | None = field(default=None, compare=False)
    sink: Output | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command answered. `status` is the exit status; a signal N is 128 + N."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes = b""
    stderr: bytes = b""


class Runner(Protocol):
    """The way to a host: runs commands, moves files. Local, over ssh, or the sandbox.

    Everything that a driver does to a host passes through these few methods, so recording,
    retrying, refusing writes and failing on purpose are wrappers around them (`wraps.py`).
    Errors: `HostError` only. A non-zero exit status is not an error here; the driver judges it.
    """

    def run(self, command: Command) -> Completed:
        """Run one command to its end; HostError when it cannot start, or its timeout passes."""
        ...

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run read-only commands together, in one round trip where the host is remote."""
        ...

    def gather(
        self, commands: Sequence[Command], trees: Sequence[str]
    ) -> tuple[list[Completed], Mapping[str, Mapping[str, bytes]]]:
        """`batch` and the `tree` of each folder by its path, in one round trip where the host is remote.

        A tree may be read lazily; one that has an attribute `digest` is known by that.
        """
        return self.batch(commands), {path: self.tree(path) for path in trees}

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none. Symlinks are refused."""
        ...

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole: temporary file beside it, fsync, rename. Parents must exist."""
        ...

    def write_all(self, files: Sequence[tuple[str, bytes, int]]) -> None:
        """Write files of one folder and below (path, content, mode), one after the other, each whole as `write` does.

        In one round trip where the host is remote. When it fails, those before the one that failed may be written.
        """
        for path, data, mode in files:
            self.write(path, data, mode)

    def tree(self, path: str) -> dict[str, bytes]:
        """All regular files below a folder of ours but its logs, by path relative to it; {} when absent."""
        ...

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Hold a kernel lock until the context or the last child ends.

        Raises Refused (code `locked`), naming who holds it.
        """
        ...
