"""Owner, mode, flags and extended attributes that an unprivileged user cannot set for real.

One file of JSON lines per tree, appended to; for each path the last line counts. A real mode that is
not the one remembered was changed by a process since, and wins.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TypedDict

from reconciler.hosts.sandbox import beneath


class Meta(TypedDict, total=False):
    """What is remembered of one path. `mode` holds only while the real mode is still `real`."""

    uid: int
    gid: int
    mode: int
    real: int
    flags: list[str]
    xattrs: dict[str, str]


class Sidecar:
    """The remembered metadata of one tree."""

    def __init__(self, tree: Path) -> None:
        """Keep it beside `tree`."""
        self.tree = tree
        self.file = tree.parent / f"{tree.name}.meta"
        self._known: dict[str, Meta] = {}
        self._read = 0
        self._pending: list[str] = []

    def _refresh(self) -> None:
        try:
            size = self.file.stat().st_size
        except FileNotFoundError:
            size = 0
        if size == self._read:
            return
        if size < self._read:
            self._known, self._read = {}, 0
        if size == 0:
            return  # the tree was made anew under an old name
        with self.file.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # a line being written, or cut off by a kill
                self._read += len(line)
                path, meta = json.loads(line)
                if meta is None:
                    self._forget(path)
                else:
                    self._known[path] = meta

    def _forget(self, path: str) -> None:
        self._known.pop(path, None)
        for below in [p for p in self._known if p.startswith(path + "/")]:
            del self._known[below]

    def get(self, path: str) -> Meta:
        """What is remembered of a path relative to the tree."""
        self._refresh()
        return self._known.get(path, Meta())

    def put(self, path: str, meta: Meta) -> None:
        """Add to what is remembered; `flush` writes it."""
        self._refresh()
        merged = Meta(**{**self._known.get(path, {}), **meta})
        self._known[path] = merged
        self._pending.append(json.dumps([path, merged], separators=(",", ":")) + "\n")

    def drop(self, path: str) -> None:
        """Forget a path and all below."""
        self._refresh()
        if path in self._known or any(p.startswith(path + "/") for p in self._known):
            self._forget(path)
            self._pending.append(json.dumps([path, None]) + "\n")

    def all(self) -> dict[str, Meta]:
        """Everything remembered, by path."""
        self._refresh()
        return self._known

    def flush(self) -> None:
        """Append what is new, in one write."""
        if not self._pending:
            return
        data = "".join(self._pending).encode()
        self._pending = []
        fd = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        self._refresh()

    def chmod(self, path: str, mode: int) -> None:
        """Set a mode: for real as far as we can still work with the file, whole in the sidecar."""
        with beneath.parent(self.tree, path) as (folder, name):
            info = os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISLNK(info.st_mode):
                keep = 0o700 if stat.S_ISDIR(info.st_mode) else 0o600
                fd = os.open(name or ".", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
                try:
                    os.fchmod(fd, (mode & 0o777) | keep)
                    info = os.fstat(fd)
                finally:
                    os.close(fd)
        real = stat.S_IMODE(info.st_mode)
        if mode != real or self.get(path):
            self.put(path, Meta(mode=mode, real=real))

    def mode(self, path: str) -> int:
        """The permission bits the machine shows."""
        info = os.lstat(self.tree / path)
        real, meta = stat.S_IMODE(info.st_mode), self.get(path)
        if stat.S_ISLNK(info.st_mode):
            real = 0o755  # what FreeBSD shows; Linux gives links no mode of their own
        return meta["mode"] if meta.get("real") == stat.S_IMODE(info.st_mode) and "mode" in meta else real
