"""Commands that a person lets run while a lock is written: bounded in time and in what they print."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

TAIL = 2000
_CHUNK = 1 << 16


class CommandError(Exception):
    """A command that did not come to a good end; says why."""


def output(argv: Sequence[str], cwd: str, *, limit: int, timeout: float) -> bytes:
    """What a command prints, at most `limit` bytes within `timeout` seconds; it reads nothing.

    All that it started ends with it. Raises CommandError.
    """
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise CommandError(f"{argv[0]} cannot be run: {error}.") from error
    try:
        said, complained = _read(process, limit, time.monotonic() + timeout)
    except TimeoutError as error:
        raise CommandError(f"It did not end within {timeout:g} seconds.") from error
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if len(said) > limit:
        raise CommandError(f"It printed more than {limit} bytes.")
    if status:
        raise CommandError(f"It ended with status {status}. {complained.decode('utf-8', 'replace').strip()}".rstrip())
    return said


def _read(process: subprocess.Popen[bytes], limit: int, end: float) -> tuple[bytes, bytes]:
    """All of standard output, or more than the limit; and the end of standard error. Raises TimeoutError."""
    said, complained = bytearray(), bytearray()
    with selectors.DefaultSelector() as open_:
        for stream, taken in ((process.stdout, said), (process.stderr, complained)):
            assert stream is not None
            open_.register(stream, selectors.EVENT_READ, taken)
        while open_.get_map() and len(said) <= limit:
            ready = open_.select(max(end - time.monotonic(), 0))
            if not ready:
                raise TimeoutError
            for key, _events in ready:
                if data := os.read(key.fd, _CHUNK):
                    key.data.extend(data)
                    del complained[:-TAIL]
                else:
                    open_.unregister(key.fileobj)
    try:
        if len(said) <= limit:
            process.wait(max(end - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return bytes(said), bytes(complained)
