"""The pool of the sandbox machine: datasets and snapshots as records, their names and kinship.

Table `datasets` maps a name to a `Dataset`, `snapshots` a name with `@` to a `Snapshot`. Records are
plain dictionaries so that the state stores them as they are. What ZFS would say of them is in
`commands/zfs`; here are only the facts and their changes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, TypedDict

from reconciler.hosts.sandbox.properties import NATIVE, SNAPSHOT_INHERITS, is_user
from reconciler.hosts.sandbox.state import State

SIZE = 64 * 1024**3
EMPTY = 24 * 1024


class Dataset(TypedDict):
    """A file system. `content` names its tree ("" while empty); `shared` says others use that tree."""

    content: str
    shared: bool
    guid: int
    txg: int
    creation: int
    objset: int
    origin: str
    props: dict[str, str]
    received: dict[str, str]
    snaps: list[str]
    changed: int
    jail: str
    mark: list[int]


class Snapshot(TypedDict):
    """A snapshot; `deferred` says it goes when its last clone and hold do."""

    content: str
    guid: int
    txg: int
    creation: int
    objset: int
    props: dict[str, str]
    received: dict[str, str]
    holds: dict[str, int]
    deferred: bool


class Pool:
    """Datasets and snapshots of one machine; use inside the state's transaction or reading."""

    def __init__(self, state: State) -> None:
        """Look at the tables of `state`."""
        self.state = state
        self.datasets: dict[str, Dataset] = state.table("datasets")
        self.snapshots: dict[str, Snapshot] = state.table("snapshots")
        self._clones: dict[str, list[str]] = {}
        self._clones_stamp = -1

    def found(self) -> None:
        """Make the default pool `zroot` when the machine is new."""
        facts = self.state.table("facts")
        if "pool" in facts:
            return
        facts["pool"] = {"name": "zroot", "guid": random.getrandbits(64), "txg": 0, "size": SIZE}
        self.state.touch("facts", "pool")
        self.add("zroot", {"mountpoint": "none", "compression": "lz4"})

    @property
    def facts(self) -> dict[str, Any]:
        """Name, guid, size and transaction number of the pool."""
        facts: dict[str, Any] = self.state.table("facts")["pool"]
        return facts

    def next_txg(self) -> int:
        """A new transaction group number."""
        self.facts["txg"] += 1
        self.state.touch("facts", "pool")
        number: int = self.facts["txg"]
        return number

    def changed(self, name: str) -> None:
        """Write the record of a dataset or snapshot through."""
        self.state.touch("snapshots" if "@" in name else "datasets", name)

    def get(self, name: str) -> Dataset | Snapshot | None:
        """The record under a name."""
        return self.snapshots.get(name) if "@" in name else self.datasets.get(name)

    def add(self, name: str, props: dict[str, str], origin: str = "") -> Dataset:
        """A new file system, empty or a clone of the snapshot `origin`."""
        txg = self.next_txg()
        content = self.snapshots[origin]["content"] if origin else ""
        record = Dataset(
            content=content, shared=bool(origin), guid=random.getrandbits(64), txg=txg,
            creation=int(time.time()), objset=53 + txg, origin=origin, props=props, received={}, snaps=[],
            changed=0, jail="", mark=[],
        )  # fmt: skip
        self.datasets[name] = record
        self.changed(name)
        return record

    def add_snapshot(self, name: str, txg: int, content: str, props: dict[str, str]) -> Snapshot:
        """A new snapshot; snapshots taken together share `txg`."""
        owner, short = name.split("@")
        record = Snapshot(
            content=content, guid=random.getrandbits(64), txg=txg, creation=int(time.time()), objset=53 + txg,
            props=props, received={}, holds={}, deferred=False,
        )  # fmt: skip
        self.snapshots[name] = record
        self.datasets[owner]["snaps"].append(short)
        self.datasets[owner]["changed"] = record["creation"]
        self.changed(name)
        self.changed(owner)
        return record

    def children(self, name: str) -> list[str]:
        """The datasets directly below, in the order of their names."""
        prefix, depth = name + "/", name.count("/") + 1
        return sorted(n for n in self.datasets if n.startswith(prefix) and n.count("/") == depth)

    def below(self, name: str) -> list[str]:
        """The dataset and all below it, in the order of `zfs list`."""
        prefix = name + "/"
        return sorted(n for n in self.datasets if n == name or n.startswith(prefix))

    def snapshots_of(self, name: str) -> list[str]:
        """The snapshots of a dataset, oldest first."""
        return [f"{name}@{short}" for short in self.datasets[name]["snaps"]]

    def clones(self, snapshot: str) -> list[str]:
        """The datasets whose origin this snapshot is, newest first."""
        if self._clones_stamp != self.state.stamp("datasets"):
            self._clones = {}
            for name, record in self.datasets.items():
                if record["origin"]:
                    self._clones.setdefault(record["origin"], []).append(name)
            self._clones_stamp = self.state.stamp("datasets")
        found = self._clones.get(snapshot, [])
        return sorted(found, key=lambda name: -self.datasets[name]["txg"])

    def dependents(self, name: str) -> Iterator[str]:
        """What must go before `name` can, in that order: children, clones, snapshots."""
        if "@" in name:
            for clone in self.clones(name):
                yield from self.dependents(clone)
                yield clone
            return
        for child in self.children(name):
            yield from self.dependents(child)
            yield child
        for snapshot in self.snapshots_of(name):
            yield from self.dependents(snapshot)
            yield snapshot

    def remove(self, name: str) -> str:
        """Forget a dataset or snapshot that nothing depends on; returns its content."""
        if "@" not in name:
            gone = self.datasets.pop(name)
            self.changed(name)
            if gone["origin"]:
                self._settle(gone["origin"])
            return gone["content"]
        owner, short = name.split("@")
        if self.datasets[owner]["snaps"][-1] == short:
            self.datasets[owner]["mark"] = []  # it says what changed since this one, not since the one before
        self.datasets[owner]["snaps"].remove(short)
        self.datasets[owner]["changed"] = int(time.time())
        self.changed(owner)
        content = self.snapshots.pop(name)["content"]
        self.changed(name)
        return content

    def _settle(self, snapshot: str) -> None:
        """A deferred destroy happens when the last clone and the last hold are gone."""
        record = self.snapshots.get(snapshot)
        if record and record["deferred"] and not record["holds"] and not self.clones(snapshot):
            self.remove(snapshot)

    def settle(self, snapshot: str) -> None:
        """Finish a deferred destroy that nothing stands in the way of any more."""
        self._settle(snapshot)

    def move(self, old: str, new: str) -> None:
        """Rename one dataset or snapshot, and what points at it; children are the caller's."""
        table: dict[str, Any] = self.state.table("snapshots" if "@" in old else "datasets")
        record = table.pop(old)
        table[new] = record
        self.changed(old)
        self.changed(new)
        if "@" in old:
            snaps = self.datasets[new.split("@")[0]]["snaps"]
            if old.split("@")[0] == new.split("@")[0]:
                snaps[snaps.index(old.split("@")[1])] = new.split("@")[1]
                self.changed(new.split("@")[0])
            self._repoint({old: new})
            return
        renamed = {}
        for short in record["snaps"]:
            self.snapshots[f"{new}@{short}"] = self.snapshots.pop(f"{old}@{short}")
            self.changed(f"{old}@{short}")
            self.changed(f"{new}@{short}")
            renamed[f"{old}@{short}"] = f"{new}@{short}"
        self._repoint(renamed)

    def _repoint(self, renamed: dict[str, str]) -> None:
        for name, record in self.datasets.items():
            if record["origin"] in renamed:
                record["origin"] = renamed[record["origin"]]
                self.changed(name)

    def promote(self, name: str) -> None:
        """Swap a clone with the dataset it came from; the caller has checked for conflicts."""
        record = self.datasets[name]
        parent, short = record["origin"].split("@")
        former = self.datasets[parent]
        count = former["snaps"].index(short) + 1
        moved, former["snaps"] = former["snaps"][:count], former["snaps"][count:]
        record["snaps"] = moved + record["snaps"]
        record["origin"], former["origin"] = former["origin"], f"{name}@{short}"
        renamed = {}
        for each in moved:
            self.snapshots[f"{name}@{each}"] = self.snapshots.pop(f"{parent}@{each}")
            self.changed(f"{parent}@{each}")
            self.changed(f"{name}@{each}")
            renamed[f"{parent}@{each}"] = f"{name}@{each}"
        self._repoint(renamed)
        self.changed(parent)
        self.changed(name)

    def value(self, name: str, prop: str) -> tuple[str, str]:
        """A settable or user property and its source, as `zfs get` words both."""
        record = self.get(name)
        assert record is not None
        if prop in record["props"]:
            return record["props"][prop], "local"
        if prop in record["received"]:
            return record["received"][prop], "received"
        if "@" in name:
            if not is_user(prop) and prop not in SNAPSHOT_INHERITS:
                return "-", "-"
            owner = name.split("@")[0]
            value, source = self.value(owner, prop)
            return value, f"inherited from {owner}" if source in ("local", "received") else source
        if is_user(prop) or NATIVE[prop].inherited:
            return self._inherited(name, prop)
        return NATIVE[prop].default, "default"

    def _inherited(self, name: str, prop: str) -> tuple[str, str]:
        above = name
        while "/" in above:
            above = above.rsplit("/", 1)[0]
            record = self.datasets[above]
            value = record["props"].get(prop, record["received"].get(prop))
            if value is not None:
                if prop == "mountpoint" and value.startswith("/"):
                    value = value.rstrip("/") + name[len(above) :]
                return value, f"inherited from {above}"
        if prop == "mountpoint":
            return "/" + name, "default"
        return ("-", "-") if is_user(prop) else (NATIVE[prop].default, "default")

    def user_properties(self, name: str) -> dict[str, tuple[str, str]]:
        """All user properties that a dataset or snapshot has or inherits, nearest first."""
        found: dict[str, tuple[str, str]] = {}
        above = name
        while above:
            record = self.get(above)
            assert record is not None
            for source, values in (("local", record["props"]), ("received", record["received"])):
                for prop, value in values.items():
                    if ":" in prop and prop not in found:
                        found[prop] = (value, source if above == name else f"inherited from {above}")
            above = above.split("@")[0] if "@" in above else above.rpartition("/")[0]
        return found
