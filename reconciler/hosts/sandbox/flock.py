"""The lock of a simulated host's pool: flock(2) on a file of it, whoever answers for the rest of the host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.hosts.sandbox import beneath
from reconciler.model.diagnostic import Diagnostic, Refused


@contextmanager
def hold(tree: Path, inside: str, path: str, holder: str) -> Iterator[None]:
    """Hold the lock of the file `tree/inside`, which the host calls `path`.

    The descriptor is inheritable, and the lock is not given up but closed: while a child that
    inherited it lives, the lock holds. Raises Refused (code `locked`), naming who has it.
    """
    with beneath.parent(tree, inside) as (folder, name):
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise locked(path, os.pread(fd, 4096, 0).decode(errors="replace").strip()) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, holder.encode() + b"\n", 0)
        os.set_inheritable(fd, True)
        yield
    finally:
        os.close(fd)


def locked(path: str, holder: str) -> Refused:
    """The error of a lock that someone else has."""
    return Refused(
        Diagnostic(
            "locked",
            "Another run holds the lock.",
            f"{path} is held by {holder or 'someone who left no name'}.",
            "Wait for it to end.",
        )
    )
