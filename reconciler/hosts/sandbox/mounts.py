"""The machine's mount table and the walk of a path through it.

A path of the machine is walked component by component; links are followed inside the machine only, so
the walk never leaves its folder whatever a jail wrote there.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from reconciler.hosts.sandbox import unions
from reconciler.hosts.sandbox.content import Contents, remove_tree
from reconciler.hosts.sandbox.pool import Pool
from reconciler.hosts.sandbox.state import State

_LINKS = 32
ABOVE = "<above>:"
"""What the kernel writes before the upper folder of a union (f_mntfromname)."""


class Mount(TypedDict):
    """One row. `options` are those that mount(8) shows, `args` the others (`ruleset=4`, `size=8m`).

    `backing` is, for nullfs and unionfs, the key of the mount the source lay in, and the path there; for unionfs also
    the same of what it covers, and a name for its tree, for keys come again.
    """

    source: str
    target: str
    fstype: str
    options: list[str]
    args: list[str]
    backing: list[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of the machine really is. `mount` is the key of its mount, `path` its canonical name."""

    mount: str
    tree: Path
    inside: str
    path: str

    @property
    def real(self) -> Path:
        """The path on the machine we run on."""
        return self.tree / self.inside if self.inside else self.tree


def _row(source: str, target: str, fstype: str, options: list[str]) -> Mount:
    return Mount(source=source, target=target, fstype=fstype, options=options, args=[], backing=[])


class Mounts:
    """Mounts in the order they were made. Changes need the state's transaction."""

    def __init__(self, directory: Path, state: State, pool: Pool, contents: Contents) -> None:
        """Look at table `mounts` of `state`; trees lie below `directory`."""
        self.directory = directory
        self.state = state
        self.pool = pool
        self.contents = contents
        self.table: dict[str, Mount] = state.table("mounts")
        self._targets: dict[str, list[str]] = {}
        self._sources: dict[str, list[str]] = {}
        self._stamp = -1

    def found(self) -> None:
        """The root of a machine that has just booted."""
        if not self.table:
            self._insert(_row("/dev/vtbd0", "/", "ufs", ["local"]))

    def _index(self) -> None:
        if self._stamp == self.state.stamp("mounts"):
            return
        self._targets, self._sources = {}, {}
        for key in sorted(self.table):
            self._file(key, self.table[key])
        self._stamp = self.state.stamp("mounts")

    def _file(self, key: str, mount: Mount) -> None:
        self._targets.setdefault(mount["target"], []).append(key)
        self._sources.setdefault(mount["source"], []).append(key)

    def _insert(self, mount: Mount) -> str:
        self._index()
        key = f"{int(max(self.table, default='0')) + 1:08d}"
        self.table[key] = mount
        self.state.touch("mounts", key)
        self._file(key, mount)
        self._stamp = self.state.stamp("mounts")
        return key

    def all(self) -> list[Mount]:
        """Every mount, oldest first."""
        return [self.table[key] for key in sorted(self.table)]

    def at(self, target: str) -> str | None:
        """The key of the mount on top of a canonical path."""
        self._index()
        keys = self._targets.get(target)
        return keys[-1] if keys else None

    def of(self, source: str, fstype: str = "zfs") -> str | None:
        """The key of the first mount of a dataset or other source."""
        self._index()
        for key in self._sources.get(source, ()):
            if self.table[key]["fstype"] == fstype:
                return key
        return None

    def below(self, path: str) -> list[str]:
        """The keys of mounts strictly below a canonical path, deepest and newest first."""
        self._index()
        prefix = path.rstrip("/") + "/"
        found = [
            k for target, keys in self._targets.items() if target.startswith(prefix) and target != "/" for k in keys
        ]
        return sorted(found, key=lambda key: (self.table[key]["target"].count("/"), key), reverse=True)

    def add(self, fstype: str, source: str, target: str, options: list[str], args: list[str] | None = None) -> str:
        """Mount; `target` (and the source of nullfs) are canonical and exist. Returns the key."""
        mount = _row(source, target, fstype, options)
        mount["args"] = args or []
        if fstype == "nullfs":
            place = self.place(source, write=False)
            mount["source"], mount["backing"] = place.path, [place.mount, place.inside]
        if fstype == "unionfs":
            upper, lower = self.place(source.removeprefix(ABOVE)), self.place(target)
            mount["backing"] = [upper.mount, upper.inside, lower.mount, lower.inside, secrets.token_hex(8)]
        key = self._insert(mount)
        if fstype == "unionfs":
            unions.lay(self.tree(key)[0], *self._sides(mount), writable="read-only" not in options)
        if fstype in ("tmpfs", "devfs"):
            (self.directory / fstype / key).mkdir(parents=True, exist_ok=True)
        return key

    def remove(self, key: str) -> None:
        """Take one mount away, with what only lived in memory."""
        mount = self.table.pop(key)
        self.state.touch("mounts", key)
        tree = self.directory / mount["fstype"] / (mount["backing"][4] if mount["fstype"] == "unionfs" else key)
        if mount["fstype"] == "unionfs" and "read-only" not in mount["options"]:
            unions.settle(tree, *self._sides(mount))
        if mount["fstype"] in ("tmpfs", "devfs", "unionfs"):
            self.state.afterwards(lambda: remove_tree(tree))
            self.state.afterwards(lambda: tree.with_name(tree.name + ".meta").unlink(missing_ok=True))
            self.state.afterwards(lambda: unions.forget(tree))

    def _sides(self, mount: Mount) -> tuple[unions.Spot, unions.Spot]:
        """What a union covers, and what it lies over that with."""
        upper, above, lower, below, _name = mount["backing"]
        return (self.tree(lower, write=False)[0], below), (self.tree(upper)[0], above)

    def users(self, key: str) -> list[str]:
        """The keys of nullfs and unionfs mounts that need this mount."""
        return [k for k, mount in self.table.items() if key in mount["backing"][:4:2]]

    def busy(self, key: str, leaving: frozenset[str] = frozenset(), *, force: bool = False) -> bool:
        """Whether a mount cannot go: one below it, a nullfs of it, or a jail in it stays.

        `leaving` are keys that go together with it; `force` does not ask for jails.
        """
        mount = self.table[key]
        target = mount["target"]
        if any(k not in leaving for k in self.below(target)) and self.at(target) == key:
            return True
        if any(k not in leaving for k in self.users(key)):
            return True
        if force:
            return False
        prefix = target.rstrip("/") + "/"
        paths = (str(jail["values"]["path"]) for jail in self.state.table("jails").values())
        return any(path == target or path.startswith(prefix) for path in paths)

    def writable(self, key: str) -> bool:
        """Whether writes through this mount reach its tree."""
        mount = self.table[key]
        if "read-only" in mount["options"]:
            return False
        return self.writable(mount["backing"][0]) if mount["backing"] else True

    def tree(self, key: str, write: bool = True) -> tuple[Path, str]:
        """The real root of a mount, and the path inside that root where the mount begins.

        With `write`, a dataset mounted read-write gets its own copy of a shared tree first.
        """
        mount = self.table[key]
        fstype, source = mount["fstype"], mount["source"]
        if mount["target"] == "/" and fstype == "ufs":
            return self.directory / "host", ""
        if fstype == "nullfs":
            tree, inside = self.tree(mount["backing"][0], write and "read-only" not in mount["options"])
            return tree, "/".join(part for part in (inside, mount["backing"][1]) if part)
        if fstype == "zfs":
            if write and "@" not in source and self.writable(key):
                self.materialise(source)
            record = self.pool.get(source)
            return self.contents.path(record["content"] if record else ""), ""
        if fstype in ("tmpfs", "devfs"):
            return self.directory / fstype / key, ""
        if fstype == "unionfs":
            return self.directory / fstype / mount["backing"][4], ""
        return self.contents.empty, ""

    def materialise(self, name: str) -> None:
        """Give a dataset a tree of its own, so that it can be written."""
        record = self.pool.datasets[name]
        if record["content"] and not record["shared"]:
            return
        with self.state.transaction():
            record = self.pool.datasets[name]
            record["content"] = self.contents.copy(record["content"])
            record["shared"] = False
            record["mark"] = self.contents.mark(record["content"])
            self.pool.changed(name)

    def place(self, path: str, *, follow: bool = True, write: bool = True) -> Place:
        """Walk an absolute path of the machine.

        The last component may be absent. OSError as the kernel's: ENOENT, ENOTDIR, ELOOP.
        """
        with self.state.reading():
            return self._walk(path, follow, write)

    def _walk(self, path: str, follow: bool, write: bool) -> Place:
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        must_be_folder = path.endswith("/")
        done: list[str] = []
        key = self.at("/") or ""
        stack = [(key, *self.tree(key, write))]
        links = 0
        while pending:
            part = pending.pop()
            key, tree, inside = stack[-1]
            if part == "..":
                if done:
                    done.pop()
                    stack.pop()
                continue
            self._enter(stack[-1], path)
            if self._snapshot(stack, done, pending, part):
                continue
            inside = f"{inside}/{part}" if inside else part
            link = self._link(tree / inside) if pending or follow or must_be_folder else None
            if link is not None:
                links += 1
                if links > _LINKS:
                    raise OSError(errno.ELOOP, "Too many levels of symbolic links", path)
                pending.extend(p for p in reversed(link.split("/")) if p not in ("", "."))
                if link.startswith("/"):
                    done, stack = [], stack[:1]
                continue
            done.append(part)
            over = self.at("/" + "/".join(done))
            stack.append((over, *self.tree(over, write)) if over else (key, tree, inside))
        key, tree, inside = stack[-1]
        return Place(key, tree, inside, "/" + "/".join(done))

    def _enter(self, here: tuple[str, Path, str], path: str) -> None:
        try:
            mode = os.lstat(here[1] / here[2]).st_mode
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path) from None
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)

    def _link(self, real: Path) -> str | None:
        try:
            return os.readlink(real)
        except OSError:
            return None

    def _snapshot(self, stack: list[tuple[str, Path, str]], done: list[str], pending: list[str], part: str) -> bool:
        """Walk into `.zfs/snapshot/NAME` at the root of a mounted dataset."""
        key, _tree, inside = stack[-1]
        mount = self.table[key]
        if part != ".zfs" or inside or mount["fstype"] != "zfs" or len(pending) < 2 or pending[-1] != "snapshot":
            return False
        name = f"{mount['source']}@{pending[-2]}"
        record = self.pool.snapshots.get(name)
        if record is None:
            return False
        tree = self.contents.path(record["content"])
        for each in (part, pending.pop(), pending.pop()):
            done.append(each)
            stack.append((key, tree, ""))
        return True
