"""The Sources of this machine's own files. The only module of the language that touches the system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from reconciler.makejail.sources import Entry


class LocalFiles:
    """Sources over the local file system; see `reconciler.makejail.sources.Sources`."""

    def read(self, path: str) -> bytes | None:
        """Return the file's data; None when it cannot be opened as a file; no fifo or device is waited for."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        except OSError:
            return None

    def realpath(self, path: str) -> str:
        """Return the absolute path without links and dots."""
        return os.path.realpath(path)

    def isdir(self, path: str) -> bool:
        """Say whether `path` is a directory."""
        return os.path.isdir(path)

    def walk(self, path: str) -> Iterator[Entry] | None:
        """Return the tree at `path`, version control left out; None when it is missing."""
        return self._entries(path, "") if os.path.lexists(path) else None

    def _entries(self, top: str, relative: str) -> Iterator[Entry]:
        full = os.path.join(top, relative) if relative else top
        status = os.lstat(full)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            yield Entry(relative, "link", 0o777, os.fsencode(os.readlink(full)))
        elif stat.S_ISDIR(status.st_mode):
            yield Entry(relative, "directory", mode)
            for name in sorted(os.listdir(full)):
                if name != ".git":
                    yield from self._entries(top, os.path.join(relative, name) if relative else name)
        elif stat.S_ISREG(status.st_mode):
            yield Entry(relative, "file", mode, self.read(full) or b"")
