"""What was downloaded and verified, by SHA256, so that nothing is fetched twice.

In the folder ($XDG_CACHE_HOME/reconciler/downloads, mode 0700), for each digest:

    <sha256>           the whole file; it gets this name only after its digest was seen to be right
    <sha256>.partial   what has come so far
    <sha256>.resume    JSON: the URL and validator that the partial belongs to
    <sha256>.lock      flock(2)ed by the one process that downloads it
    <sha256>.NAME      notes about the content, such as `checked`; JSON

A note is believed as far as the folder is: it is ours alone, and other owners are refused.
Losing any of this loses nothing but time.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from reconciler.model.diagnostic import Diagnostic, FetchError

CHUNK = 1024 * 1024
"""Bytes read at once."""
STALE = 7 * 86400.0
"""Seconds after which nobody goes on with what was left unfinished."""
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def bare_digest(digest: str) -> str:
    """The 64 hex digits of `sha256:...` or of themselves. Raises FetchError (`digest-malformed`)."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise FetchError(
            Diagnostic(
                "digest-malformed",
                "Not a SHA256 digest",
                f"{digest[:80]!a} is not sha256: and 64 lower case hexadecimal digits.",
                "Take it from: sha256 -q FILE",
            )
        )
    return found[1]


def default_folder(environ: Mapping[str, str]) -> Path:
    """Where the cache lies, by the XDG base directory specification; relative values count as unset."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(environ.get("HOME") or "/var/empty", ".cache")
    return Path(base) / "reconciler" / "downloads"


class Cache:
    """A folder of verified files. Every method raises FetchError (`cache-unusable`, `cache-full`)."""

    def __init__(self, folder: Path) -> None:
        """Use this folder; it is made at the first write, not before."""
        self.folder = folder

    def path(self, sha256: str, suffix: str = "") -> Path:
        """Where a file (or what belongs to it) lies, whether or not it is there."""
        return self.folder / f"{bare_digest(sha256)}{suffix}"

    def find(self, sha256: str) -> Path | None:
        """The whole file, its content hashed again now; None where there is none.

        A file that no longer has its digest (a bad disk, an edit) is removed.
        """
        path = self.path(sha256)
        try:
            with open_regular(path) as file:
                actual, _ = hash_stream(file)
        except OSError:
            return None
        if actual == bare_digest(sha256):
            return path
        self.drop(sha256)
        return None

    def drop(self, sha256: str) -> None:
        """Forget a digest: the file, its partial, its notes."""
        digest = bare_digest(sha256)
        for path in self.folder.glob(f"{digest}*"):
            if path.name != f"{digest}.lock":
                path.unlink(missing_ok=True)

    def note(self, sha256: str, name: str) -> dict[str, object] | None:
        """A note about a file, or None when there is none that can be read."""
        try:
            with open_regular(self.path(sha256, f".{name}")) as file:
                value = json.loads(file.read(CHUNK))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def set_note(self, sha256: str, name: str, value: Mapping[str, object]) -> None:
        """Write a note, by rename."""
        self.put(self.path(sha256, f".{name}"), json.dumps(value, sort_keys=True).encode())

    def put(self, path: Path, data: bytes) -> None:
        """Write a small file of the cache whole, by rename."""
        self.prepare()
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        with self.guarded():
            try:
                with open(fresh, "wb", opener=private) as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)

    def take(self, write: Callable[[IO[bytes]], str]) -> str:
        """Put a file into the cache that is made now: `write` writes it and says its SHA256 (hex)."""
        self.prepare()
        self.sweep()
        fresh = self.folder / f"made.{os.getpid()}.{threading.get_ident()}.new"
        with self.guarded():
            try:
                with open(fresh, "wb", opener=private) as file:
                    sha256 = write(file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(fresh, self.path(sha256))
            finally:
                fresh.unlink(missing_ok=True)
        return sha256

    def sweep(self) -> None:
        """Remove what runs that ended early left, and nobody touched for so long."""
        before = time.time() - STALE
        with self.guarded():
            for path in self.folder.iterdir():
                if path.name.endswith((".partial", ".resume", ".new")):
                    with suppress(FileNotFoundError):
                        if path.lstat().st_mtime < before:
                            path.unlink()

    def check_room(self, size: int) -> None:
        """Refuse, before anything is written, what there is no space for. Raises OSError; see `guarded`."""
        found = os.statvfs(self.folder)
        if size > found.f_bavail * found.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def prepare(self) -> None:
        """Make the folder, mode 0700; refuse one that somebody else owns or may write to."""
        with self.guarded():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = os.stat(self.folder)
            if found.st_uid != os.geteuid():
                raise FetchError(_unusable(self.folder, "It belongs to another user."))
            if stat.S_IMODE(found.st_mode) & 0o077:
                os.chmod(self.folder, 0o700)

    @contextmanager
    def locked(self, sha256: str) -> Iterator[None]:
        """Hold the lock of one digest; waits for another process that downloads the same."""
        self.prepare()
        with self.guarded():
            descriptor = os.open(
                self.path(sha256, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def guarded(self, remove: Path | None = None) -> Iterator[None]:
        """Turn an OSError of the cache's own files into a diagnostic; `remove` frees a full disk."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                if remove is not None:
                    with suppress(OSError):
                        remove.unlink(missing_ok=True)
                raise FetchError(_full(self.folder, error)) from error
            raise FetchError(_unusable(self.folder, f"{error.strerror or error}.")) from error

    def finish(self, sha256: str) -> Path:
        """Give a verified partial its final name; the bytes are on disk before the name is."""
        path, partial = self.path(sha256), self.path(sha256, ".partial")
        with self.guarded(remove=partial):
            os.replace(partial, path)
            self.path(sha256, ".resume").unlink(missing_ok=True)
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return path


def open_regular(path: Path, *, follow: bool = False) -> IO[bytes]:
    """Open a regular file for reading; a fifo or device never blocks or feeds us. Raises OSError."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def hash_stream(file: IO[bytes]) -> tuple[str, int]:
    """SHA256 (hexadecimal) and size in bytes of what is left of a file."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def stream(path: Path, sha256: str) -> Iterator[bytes]:
    """The content of a cached file in chunks, hashed once more as it goes.

    The last chunk is given only when the whole has its digest, so that a consumer such as tar never
    sees a complete stream that is not the verified one. Raises FetchError (`digest-mismatch`,
    `cache-unusable`).
    """
    digest, held = hashlib.sha256(), b""
    try:
        with open_regular(path) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if held:
                    yield held
                held = chunk
    except OSError as error:
        raise FetchError(_unusable(path.parent, f"{path.name}: {error.strerror or error}.")) from error
    if digest.hexdigest() != bare_digest(sha256):
        raise FetchError(mismatch(str(path), sha256, digest.hexdigest()))
    if held:
        yield held


def mismatch(what: str, expected: str, actual: str) -> Diagnostic:
    """The diagnostic of content that is not what was asked for."""
    return Diagnostic(
        "digest-mismatch",
        "The content does not have the expected SHA256",
        f"{what}: expected {bare_digest(expected)}, got {actual}. Nothing of it was used.",
        "Fetch again; if it stays so, compare the digest with a source that you trust.",
    )


def _full(folder: Path, error: OSError) -> Diagnostic:
    return Diagnostic(
        "cache-full",
        "No space for a download",
        f"Writing below {folder} failed: {error.strerror or error}. The partial download was removed.",
        "Free space there, or set XDG_CACHE_HOME to a larger file system.",
    )


def _unusable(folder: Path, detail: str) -> Diagnostic:
    return Diagnostic(
        "cache-unusable",
        "The folder of downloads cannot be used",
        f"{folder}: {detail}",
        "Set XDG_CACHE_HOME to a folder that you own.",
    )


def private(path: str, flags: int) -> int:
    """An `opener` for open(): mode 0600, and never through a symlink."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
