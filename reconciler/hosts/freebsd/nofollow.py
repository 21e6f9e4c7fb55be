"""Reading and writing files by absolute path without ever following a symlink, at any component.

What lies in a jail's root is hostile: a link planted there must not lead out of it. So every
component is opened relative to the one before it, with O_NOFOLLOW.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.model.command import UNREAD
from reconciler.model.diagnostic import Diagnostic, HostError

LARGEST = 256 * 1024 * 1024
"""Bytes of a file that is read whole; a jail can make one with holes that no memory holds."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def refused(path: str, error: OSError) -> HostError:
    """The HostError for a path that cannot be read or written, or that a symlink lies in."""
    # A symlink shows as ELOOP (Linux), EMLINK (FreeBSD), or ENOTDIR where a folder was asked for.
    if error.errno in {errno.ELOOP, errno.EMLINK}:
        return link(path)
    if error.errno == errno.ENOSPC:
        return HostError(Diagnostic("no-space", "There is no space left", f"{path}: {error.strerror}", "Free space."))
    detail = f"{path}: {error.strerror or error}"
    return HostError(Diagnostic("file-failed", "A file of the host cannot be used", detail, f"ls -ld {path}"))


def link(path: str) -> HostError:
    """The HostError (code `symlink-refused`) for a path with a symlink, or something that is no file, in it."""
    return HostError(
        Diagnostic(
            "symlink-refused",
            "A path has a symlink in it, or is no regular file",
            f"{path} leads elsewhere than it says; it was not followed.",
            f"ls -ld {path}",
        )
    )


@contextmanager
def folder(path: str) -> Iterator[int]:
    """A descriptor of an absolute path's folder. Raises OSError; ELOOP for a symlink in it."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise OSError(errno.EINVAL, "the path must be absolute and plain", path)
    at = os.open("/", _FOLDER)
    try:
        for name in path.split("/"):
            if name in {"", "."}:
                continue
            try:
                below = os.open(name, _FOLDER, dir_fd=at)
            except NotADirectoryError as error:
                if stat.S_ISLNK(os.lstat(name, dir_fd=at).st_mode):
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from error
                raise
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def read_at(at: int, name: str) -> bytes | None:
    """The content of a regular file in a folder; None for anything else but a symlink (OSError, ELOOP)."""
    descriptor = os.open(name, _FILE, dir_fd=at)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        if found.st_size > LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
        return file.read(min(LARGEST, found.st_size + 4096))


def read(path: str) -> bytes | None:
    """The content of a regular file, None where there is none."""
    head, _, name = path.rpartition("/")
    try:
        with folder(head or "/") as at:
            data = read_at(at, name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(path, error) from error
    if data is None:
        raise link(path)
    return data


def write(path: str, data: bytes, mode: int) -> None:
    """Write a file whole: temporary file beside it, fsync, rename, fsync of the folder."""
    head, _, name = path.rpartition("/")
    temporary = f".{name[:200]}.{secrets.token_hex(6)}"
    try:
        with folder(head or "/") as at:
            try:
                _fill(at, temporary, data, mode)
                os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=at)
                raise
            os.fsync(at)
    except OSError as error:
        raise refused(path, error) from error


def _fill(at: int, name: str, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=at), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def tree(path: str) -> dict[str, bytes]:
    """All regular files below a folder by path relative to it; {} where there is none. Links and logs are left out."""
    found: dict[str, bytes] = {}
    try:
        with folder(path) as at:
            _walk(at, "", found)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise refused(path, error) from error
    return found


def is_folder(path: str) -> bool:
    """Whether there is a folder. Raises HostError for a symlink in the path."""
    try:
        with folder(path):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise refused(path, error) from error


def _walk(at: int, prefix: str, found: dict[str, bytes]) -> None:
    with os.scandir(at) as entries:
        listed = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in listed:
        # What goes away or turns into a link between the listing and the opening is as if it were not listed.
        with contextlib.suppress(FileNotFoundError):
            if name.startswith(UNREAD):
                continue
            if is_folder:
                below = os.open(name, _FOLDER, dir_fd=at)
                try:
                    _walk(below, f"{prefix}{name}/", found)
                finally:
                    os.close(below)
            elif stat.S_ISREG(os.lstat(name, dir_fd=at).st_mode):
                data = read_at(at, name)
                if data is not None:
                    found[prefix + name] = data
