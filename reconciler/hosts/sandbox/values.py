"""What the pool's properties are worth: the computed ones, from the trees and the mount table.

Sizes are those of the trees on disk plus what an empty file system takes; blocks that snapshots share
with nothing else are not counted apart, so a snapshot's `used` is always 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.hosts.sandbox.pool import EMPTY, SIZE, Dataset, Snapshot
from reconciler.hosts.sandbox.properties import is_user

if TYPE_CHECKING:
    from reconciler.hosts.sandbox.machine import Machine

_CONSTANT = {"version": "5", "utf8only": "off", "normalization": "none", "casesensitivity": "sensitive",
             "compressratio": "1.00", "refcompressratio": "1.00", "usedbyrefreservation": "0"}  # fmt: skip
FOREVER = -1  # a stamp that no table ever has
_NOT_FOR_SNAPSHOTS = frozenset(
    [
        "available",
        "mounted",
        "usedbysnapshots",
        "usedbydataset",
        "usedbychildren",
        "usedbyrefreservation",
        "origin",
        "logicalused",
    ]
)


class Values:
    """Property values at one moment; made anew for each command."""

    def __init__(self, machine: Machine) -> None:
        """Read `machine` inside its state's transaction or reading."""
        self.machine = machine
        self.pool = machine.pool
        self._cached: dict[tuple[str, str], tuple[str, str]] = {}
        self._totals: dict[str, int] = {}
        self._snapped: set[str] = set()
        self._computed: dict[str, Callable[[str, Dataset | Snapshot], str]] = {
            "type": lambda name, _r: "snapshot" if "@" in name else "filesystem",
            "name": lambda name, _r: name,
            "creation": lambda _n, r: str(r["creation"]),
            "guid": lambda _n, r: str(r["guid"]),
            "createtxg": lambda _n, r: str(r["txg"]),
            "objsetid": lambda _n, r: str(r["objset"]),
            "used": lambda name, _r: "0" if "@" in name else str(self._used(name)),
            "available": lambda name, _r: str(self._available(name)),
            "referenced": lambda _n, r: str(self._size(r["content"])),
            "logicalreferenced": lambda _n, r: str(self._size(r["content"])),
            "logicalused": lambda name, _r: str(self._used(name)),
            "usedbydataset": lambda name, _r: str(self._own(name)),
            "usedbysnapshots": lambda _n, _r: "0",
            "usedbychildren": lambda name, _r: str(self._used(name) - self._own(name)),
            "written": lambda name, _r: str(self.written(name)),
            "mounted": lambda name, _r: "yes" if self.machine.mounts.of(name) else "no",
            "origin": lambda name, _r: self.pool.datasets[name]["origin"] or "-",
            "clones": lambda name, _r: ",".join(self.pool.clones(name)) if "@" in name else "-",
            "userrefs": lambda name, _r: str(len(self.pool.snapshots[name]["holds"])) if "@" in name else "-",
            "defer_destroy": lambda name, _r: self._deferred(name),
            "snapshots_changed": lambda _n, r: str(r.get("changed") or "-"),
        }

    def get(self, name: str, prop: str) -> tuple[str, str]:
        """The value, as `-p` prints it, and its source."""
        computed = self._computed.get(prop)
        if computed is not None:
            if "@" in name and prop in _NOT_FOR_SNAPSHOTS:
                return "-", "-"
            record = self.pool.snapshots[name] if "@" in name else self.pool.datasets[name]
            return computed(name, record), "-"
        if prop in _CONSTANT:
            return _CONSTANT[prop], "-"
        if prop.startswith("default") and prop.endswith("quota"):
            return "0", "-"
        if "@" in name:
            return self._of_snapshot(name, prop)
        key = (name, prop)
        if key not in self._cached:
            self._cached[key] = self._settable(name, prop)
        return self._cached[key]

    def _deferred(self, name: str) -> str:
        if "@" not in name:
            return "-"
        return "on" if self.pool.snapshots[name]["deferred"] else "off"

    def _of_snapshot(self, name: str, prop: str) -> tuple[str, str]:
        record = self.pool.snapshots[name]
        if prop in record["props"] or prop in record["received"] or not is_user(prop):
            return self.pool.value(name, prop)
        owner = name.partition("@")[0]
        value, source = self.get(owner, prop)
        return value, f"inherited from {owner}" if source in ("local", "received") else source

    def _settable(self, name: str, prop: str) -> tuple[str, str]:
        if prop in (
            "keystatus",
            "encryptionroot",
            "receive_resume_token",
            "redact_snaps",
            "volsize",
            "volblocksize",
        ):
            return "-", "-"
        return self.pool.value(name, prop)

    def _measure(self, content: str) -> list[int]:
        """Of a tree: once where a snapshot holds it, else again after each change of the mount table."""
        cache = self.machine.contents.measured
        stamp = self.machine.state.stamp("mounts")
        known = cache.get(content)
        if known is None or known[0] not in (FOREVER, stamp):
            measured = self.machine.contents.measure(content)
            known = (FOREVER if content in self._held() else stamp, measured)
            cache[content] = known
        return known[1]

    def _held(self) -> set[str]:
        """The trees of snapshots, which nobody writes any more."""
        if not self._snapped:
            self._snapped.update(snapshot["content"] for snapshot in self.pool.snapshots.values())
        return self._snapped

    def _size(self, content: str) -> int:
        return EMPTY + self._measure(content)[4]

    def _fresh(self, name: str) -> None:
        """Forget what was measured of a dataset that is mounted for writing."""
        record = self.pool.datasets[name]
        key = self.machine.mounts.of(name)
        if key and not record["shared"] and self.machine.mounts.writable(key):
            self.machine.contents.measured.pop(record["content"], None)

    def _base(self, name: str) -> str | None:
        record = self.pool.datasets[name]
        latest = f"{name}@{record['snaps'][-1]}" if record["snaps"] else record["origin"]
        return self.pool.snapshots[latest]["content"] if latest else None

    def written(self, name: str) -> int:
        """Bytes written since the latest snapshot; of a snapshot, since the one before it."""
        if "@" in name:
            owner, short = name.split("@")
            record = self.pool.datasets[owner]
            place = record["snaps"].index(short)
            before = f"{owner}@{record['snaps'][place - 1]}" if place else record["origin"]
            mine = self.pool.snapshots[name]["content"]
            return self._growth(mine, self.pool.snapshots[before]["content"] if before else None)
        record, base = self.pool.datasets[name], self._base(name)
        if base is None or record["shared"] or not record["mark"]:
            return self._growth(record["content"], base)
        if record["content"] == base:
            return 0
        self._fresh(name)
        now = self.machine.contents.measure(record["content"], record["mark"])
        return 0 if now[:4] == record["mark"] else max(512, now[5])

    def _growth(self, mine: str, before: str | None) -> int:
        if before is None:
            return self._size(mine)
        return 0 if mine == before else max(512, self._size(mine) - self._size(before))

    def _own(self, name: str) -> int:
        self._fresh(name)
        record = self.pool.datasets[name]
        if not record["origin"]:
            return self._size(record["content"])
        origin = self.pool.snapshots[record["origin"]]["content"]
        return 0 if record["content"] == origin else max(512, self._size(record["content"]) - self._size(origin))

    def _used(self, name: str) -> int:
        if not self._totals:
            for each in sorted(self.pool.datasets, reverse=True):
                total = self._totals.get(each, 0) + self._own(each)
                reserved = int(self.pool.datasets[each]["props"].get("reservation", "0"))
                self._totals[each] = total = max(total, reserved)
                above = each.rpartition("/")[0]
                if above:
                    self._totals[above] = self._totals.get(above, 0) + total
        return self._totals[name]

    def free(self) -> int:
        """Bytes that the pool can still take."""
        root = self.pool.facts["name"]
        return max(0, int(self.pool.facts.get("size", SIZE)) - self._used(root))

    def _available(self, name: str) -> int:
        free, above = self.free(), name
        while above:
            props = self.pool.datasets[above]["props"]
            if quota := int(props.get("quota", "0")):
                free = min(free, max(0, quota - self._used(above)))
            above = above.rpartition("/")[0]
        if quota := int(self.pool.datasets[name]["props"].get("refquota", "0")):
            free = min(free, max(0, quota - self._size(self.pool.datasets[name]["content"])))
        return free


def date(seconds: str) -> str:
    """As `zfs list -o creation` prints it, in UTC."""
    return time.strftime("%a %b %e %k:%M %Y", time.gmtime(int(seconds)))
