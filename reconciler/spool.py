"""Many small files of a host as one stream: summed as it comes, set aside, and looked into only when asked.

The files of ten thousand jails are 100 MB that most runs only have to recognise. They go through a digest
into an unlinked temporary file; which bytes are whose is worked out when the first of them is asked for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence

_SIZE = 40
"""An index holds `offset << _SIZE | size`: one number costs a third of a pair."""
_WINDOW = 1 << 18

_NAMES = ("utf-8", "surrogateescape")

Index = dict[str, int]


def at(offset: int, size: int) -> int:
    """An entry of an index."""
    return offset << _SIZE | size


class Spool:
    """A stream that was set aside. Nobody else can open it, and it goes with this object."""

    def __init__(self, *, summed: bool = True) -> None:
        """Start empty. A `digest` that nobody wants costs time: not `summed`, it is that of nothing."""
        self._descriptor, name = tempfile.mkstemp(prefix="reconciler-")
        os.unlink(name)
        weakref.finalize(self, os.close, self._descriptor)
        self._sum = hashlib.sha256()
        self._summed = summed
        self.size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append to it."""
        if self._summed:
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


class _Parts:
    """Which part of a stream each file is, by the folder it lies in.

    Thousands of folders hold files of the same names, so a folder is a tuple of names that others share, and
    an array of offsets and sizes by turns: a sixth of what a dictionary of paths takes.
    """

    def __init__(self, pairs: Iterable[tuple[str, int]] = ()) -> None:
        """`pairs` are paths with their entries of an index; of one path the last counts."""
        self.folders: dict[str, tuple[tuple[str, ...], array[int]]] = {}
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        now, names, places = "", list[str](), array("Q")
        for path, part in pairs:
            folder, slash, name = path.partition("/")
            if not slash:
                folder, name = "", path
            if folder != now:
                self._add(now, names, places, shared)
                now, names, places = folder, [], array("Q")
            names.append(name)
            places.append(part >> _SIZE)
            places.append(part & (1 << _SIZE) - 1)
        self._add(now, names, places, shared)

    def _add(
        self, folder: str, names: list[str], places: array[int], shared: dict[tuple[str, ...], tuple[str, ...]]
    ) -> None:
        if folder in self.folders or len(set(names)) < len(names):
            earlier, at_ = self.folders.get(folder, ((), array("Q")))
            every = at_ + places
            last = dict(zip((*earlier, *names), zip(every[::2], every[1::2], strict=True), strict=True))
            names, places = list(last), array("Q", (number for pair in last.values() for number in pair))
        if names:
            key = tuple(names)
            self.folders[folder] = (shared.setdefault(key, key), places)

    def only(self, folders: Iterable[str]) -> _Parts:
        """Those of some folders."""
        found = _Parts()
        found.folders = {folder: self.folders[folder] for folder in folders}
        return found

    def find(self, path: str) -> tuple[int, int] | None:
        """Offset and size of a file; None where there is none."""
        folder, slash, name = path.partition("/")
        names, places = self.folders.get(folder if slash else "", ((), ()))
        name = name if slash else path
        if name not in names:
            return None
        at_ = 2 * names.index(name)
        return places[at_], places[at_ + 1]

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        for folder, (names, places) in self.folders.items():
            prefix = f"{folder}/" if folder else ""
            for name, offset, size in zip(names, places[::2], places[1::2], strict=True):
                yield prefix + name, offset, size


class Files(Mapping[str, bytes]):
    """Files by path, in a spool. `digest` covers their names and content."""

    def __init__(self, spool: Spool, load: Callable[[], Index | Iterable[tuple[str, int]]], digest: str) -> None:
        """`load` says which part of the spool each file is; it is called once, or never."""
        self._spool = spool
        self._load: Callable[[], Index | Iterable[tuple[str, int]]] | None = load
        self._found: _Parts | None = None
        self.digest = digest

    @property
    def _parts(self) -> _Parts:
        if self._found is None:
            assert self._load is not None
            pairs = self._load()
            self._found, self._load = _Parts(pairs.items() if isinstance(pairs, dict) else pairs), None
        return self._found

    def __getitem__(self, path: str) -> bytes:
        part = self._parts.find(path)
        if part is None:
            raise KeyError(path)
        return self._spool.read(*part)

    def __iter__(self) -> Iterator[str]:
        return (path for path, _, _ in self._parts)

    def __len__(self) -> int:
        return sum(len(names) for names, _ in self._parts.folders.values())

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._parts.find(path) is not None

    def items(self) -> ItemsView[str, bytes]:
        """Names and content, read in large pieces."""
        return _Items(self)

    def parted(self, groups: Mapping[str, int], count: int) -> list[Mapping[str, bytes]]:
        """The files of `count` groups of folders, and at last those of folders that are in none."""
        sorted_: list[list[str]] = [[] for _ in range(count + 1)]
        for folder in self._parts.folders:
            sorted_[groups.get(folder, -1)].append(folder)
        return [self._only(self._parts.only(folders)) for folders in sorted_]

    def sums(self) -> dict[str, bytes]:
        """A digest of each folder: the names, sizes and content of its files."""
        found = {}
        for folder, (names, places) in self._parts.folders.items():
            sizes, first = places[1::2], places[0]
            if places[-2] + places[-1] - first == sum(sizes):  # one after the other, as they were written
                data = self._spool.read(first, sum(sizes))
            else:
                data = b"".join(self._spool.read(*part) for part in zip(places[::2], sizes, strict=True))
            head = "\0".join((*names, "", "")).encode("utf-8", "surrogateescape")
            found[folder] = _summed(head, sizes.tobytes(), data)
        return found

    def _only(self, parts: _Parts) -> Files:
        found = Files(self._spool, dict, "")
        found._found = parts
        return found

    def _sequence(self) -> Iterator[tuple[str, bytes]]:
        start, window = 0, b""
        for path, offset, size in self._parts:
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

    def parted(self, name: str, groups: Mapping[str, int], count: int) -> list[Mapping[str, bytes]]:
        """The same `count` times and once more, each with other parts of one folder: see `parted`."""
        shares = _parted(dict(self._folders).get(f"{name}/", {}), groups, count)
        others = [(prefix[:-1], files) for prefix, files in self._folders if prefix != f"{name}/"]
        return [Below([(name, share), *others]) for share in shares]

    def sums(self, name: str) -> dict[str, bytes]:
        """Digests of the folders in one folder; under "" of all that lies elsewhere: see `sums`."""
        found, rest = dict[str, bytes](), list[bytes]()
        for prefix, files in self._folders:
            inside = files.sums() if isinstance(files, Files) else _sums_of(files.items())
            found = inside if prefix == f"{name}/" else found
            others = inside if prefix != f"{name}/" else {"": found.pop("", b"")}
            rest += [part for folder, summed in others.items() for part in ((prefix + folder).encode(*_NAMES), summed)]
        return found | {"": _summed(*rest)}

    def _sequence(self) -> Iterator[tuple[str, bytes]]:
        return ((prefix + path, data) for prefix, files in self._folders for path, data in files.items())


def sums(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """A digest of each folder in folder `name`, of which it covers all files; under "" of all other files."""
    if isinstance(files, Below):
        return files.sums(name)
    prefix = f"{name}/"
    inside = _sums_of((path[len(prefix) :], data) for path, data in files.items() if path.startswith(prefix))
    beside = _sums_of((path, data) for path, data in files.items() if not path.startswith(prefix))
    rest = [part for folder, summed in beside.items() for part in (folder.encode(*_NAMES), summed)]
    return inside | {"": _summed(inside.get("", b""), *rest)}


def _sums_of(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """A digest of each first folder of these paths; under "" of those that lie in none."""
    parts: dict[str, list[bytes]] = {}
    for path, data in files:
        folder, slash, _ = path.partition("/")
        parts.setdefault(folder if slash else "", []).extend((path.encode(*_NAMES), data))
    return {folder: _summed(*held) for folder, held in parts.items()}


def _summed(*parts: bytes) -> bytes:
    summed = hashlib.blake2b(digest_size=16)
    for part in parts:
        summed.update(b"%d:" % len(part))
        summed.update(part)
    return summed.digest()


def parted(files: Mapping[str, bytes], name: str, groups: Mapping[str, int], count: int) -> list[Mapping[str, bytes]]:
    """`files` `count` times and once more, of which each has only its share of the folders in folder `name`.

    `groups` maps these folders to a number below `count`; the last share has those that it does not name.
    """
    if isinstance(files, Below):
        return files.parted(name, groups, count)
    prefix = f"{name}/"
    inside = {path[len(prefix) :]: data for path, data in files.items() if path.startswith(prefix)}
    beside = {path: data for path, data in files.items() if not path.startswith(prefix)}
    return [
        beside | {prefix + path: data for path, data in part.items()} for part in _parted(inside, groups, count)
    ]


def _parted(files: Mapping[str, bytes], groups: Mapping[str, int], count: int) -> Sequence[Mapping[str, bytes]]:
    if isinstance(files, Files):
        return files.parted(groups, count)
    found: list[dict[str, bytes]] = [{} for _ in range(count + 1)]
    for path, data in files.items():
        found[groups.get(path.rpartition("/")[0].partition("/")[0], -1)][path] = data
    return found


class _Items(ItemsView[str, bytes]):
    """The items of a mapping that knows a better order to read them in."""

    _mapping: Files | Below

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self._mapping._sequence()
