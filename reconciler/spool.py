"""Many small files of a host as one stream: summed as it comes, set aside, and looked into only when asked.

The files of ten thousand jails are 100 MB that most runs only have to recognise. They go through a digest
into an unlinked temporary file; which bytes are whose is worked out when the first of them is asked for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence

_SIZE = 40
"""An index holds `offset << _SIZE | size`: one number costs a third of a pair."""
_WINDOW = 1 << 18

Index = dict[str, int]


def at(offset: int, size: int) -> int:
    """An entry of an index."""
    return offset << _SIZE | size


class Spool:
    """A stream that was set aside. Nobody else can open it, and it goes with this object."""

    def __init__(self) -> None:
        """Start empty."""
        self._descriptor, name = tempfile.mkstemp(prefix="reconciler-")
        os.unlink(name)
        weakref.finalize(self, os.close, self._descriptor)
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append to it."""
        self._sum.update(chunk)
        self.size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def read(self, offset: int, size: int) -> bytes:
        """A part of it."""
        return os.pread(self._descriptor, size, offset)

    @property
    def digest(self) -> str:
        """SHA256 (hex) of all of it."""
        return self._sum.hexdigest()


class Files(Mapping[str, bytes]):
    """Files by path, in a spool. `digest` covers their names and content."""

    def __init__(self, spool: Spool, load: Callable[[], Index], digest: str) -> None:
        """`load` says which part of the spool each file is; it is called once, or never."""
        self._spool = spool
        self._load = load
        self._index: Index | None = None
        self.digest = digest

    @property
    def _parts(self) -> Index:
        if self._index is None:
            self._index = self._load()
        return self._index

    def __getitem__(self, path: str) -> bytes:
        part = self._parts[path]
        return self._spool.read(part >> _SIZE, part & (1 << _SIZE) - 1)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, path: object) -> bool:
        return path in self._parts

    def items(self) -> ItemsView[str, bytes]:
        """Names and content, read in large pieces."""
        return _Items(self)

    def _sequence(self) -> Iterator[tuple[str, bytes]]:
        start, window = 0, b""
        for path, part in self._parts.items():
            offset, size = part >> _SIZE, part & (1 << _SIZE) - 1
            if offset < start or offset + size > start + len(window):
                start, window = offset, self._spool.read(offset, max(size, _WINDOW))
            yield path, window[offset - start : offset - start + size]


class Below(Mapping[str, bytes]):
    """Several folders as one mapping: each file by its folder's name, a slash, and its path there."""

    def __init__(self, folders: Sequence[tuple[str, Mapping[str, bytes]]]) -> None:
        """The folders do not lie in each other."""
        self._folders = tuple((f"{name}/", files) for name, files in folders)

    def __getitem__(self, path: str) -> bytes:
        for prefix, files in self._folders:
            if path.startswith(prefix):
                return files[path[len(prefix) :]]
        raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        return (prefix + path for prefix, files in self._folders for path in files)

    def __len__(self) -> int:
        return sum(len(files) for _, files in self._folders)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and any(
            path.startswith(prefix) and path[len(prefix) :] in files for prefix, files in self._folders
        )

    def items(self) -> ItemsView[str, bytes]:
        """Names and content, each folder's in its own way."""
        return _Items(self)

    def _sequence(self) -> Iterator[tuple[str, bytes]]:
        return ((prefix + path, data) for prefix, files in self._folders for path, data in files.items())


class _Items(ItemsView[str, bytes]):
    """The items of a mapping that knows a better order to read them in."""

    _mapping: Files | Below

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self._mapping._sequence()
