"""Opening what lies below a folder without ever following a link, whatever happens meanwhile.

A jail's processes may swap a folder for a link between two looks, so each component is opened from the
one before it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LARGEST = 256 * 1024 * 1024
"""Bytes of a file that is read whole; a jail can make one with holes that no memory holds."""


@contextmanager
def folder(tree: Path, inside: str) -> Iterator[int]:
    """A descriptor of the folder `tree/inside`; OSError (ELOOP, ENOTDIR) when a link is in the way."""
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in [part for part in inside.split("/") if part]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


@contextmanager
def parent(tree: Path, inside: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that holds `tree/inside`, and the last component."""
    above, _, name = inside.rpartition("/")
    with folder(tree, above) as fd:
        yield fd, name


def read(tree: Path, inside: str) -> bytes:
    """The content of a regular file; OSError when it is a link or anything else."""
    with parent(tree, inside) as (fd, name):
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        with open(file, "rb") as stream:
            found = os.fstat(file)
            wrong = 0 if stat.S_ISREG(found.st_mode) else errno.ELOOP
            if wrong or found.st_size > LARGEST:
                raise OSError(wrong or errno.EFBIG, os.strerror(wrong or errno.EFBIG), inside)
            return stream.read(min(LARGEST, found.st_size + 4096))  # as much is reserved as is asked for


def write(tree: Path, inside: str, data: bytes, mode: int) -> None:
    """Write a file whole: a temporary file beside it, fsync, rename."""
    with parent(tree, inside) as (fd, name):
        temporary = f".{name}.{secrets.token_hex(4)}"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=fd)
        try:
            with open(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            os.unlink(temporary, dir_fd=fd)
            raise
        os.fsync(fd)
