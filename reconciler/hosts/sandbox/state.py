"""The sandbox host's state on disk: small tables of JSON values in one SQLite file.

Tables are plain dictionaries in memory, mirrored from disk and written through in one transaction
per command, so a SIGKILL leaves either the whole effect of a command or none of it, and processes
that share a sandbox see each other's changes.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.model.diagnostic import Diagnostic, HostError

TABLES = ("datasets", "snapshots", "mounts", "jails", "interfaces", "rules", "facts", "anchors")


def _open(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=60)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(
        "CREATE TABLE IF NOT EXISTS entry"
        " (tab TEXT, key TEXT, value TEXT, turn INTEGER, PRIMARY KEY (tab, key)) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX IF NOT EXISTS turns ON entry (turn)")
    return db


class State:
    """Tables by name; each maps a key to a JSON-able value. Change only inside `transaction()`."""

    def __init__(self, file: Path) -> None:
        """Open or create the state file. Raises HostError (code `sandbox-damaged`)."""
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(file)
        except sqlite3.DatabaseError as error:
            detail = f"{file}: {error}."
            hint = f"It is a simulation: remove {file.parent}, and a new one is made there."
            raise HostError(Diagnostic("sandbox-damaged", "A simulated host cannot be read", detail, hint)) from error
        self._lock = threading.RLock()
        self._version = -1
        self._turn = 0
        self._tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
        self._stamps = dict.fromkeys(TABLES, 0)
        self._dirty: set[tuple[str, str]] = set()
        self._after: list[Callable[[], None]] = []
        self._depth = 0

    def table(self, name: str) -> dict[str, Any]:
        """The live table; read it inside `transaction()` or `reading()`."""
        return self._tables[name]

    def stamp(self, table: str) -> int:
        """A number that is another whenever something in the table may have changed."""
        return self._stamps[table]

    def touch(self, table: str, key: str) -> None:
        """Say that the value under `key` was changed, added or removed in this transaction."""
        self._dirty.add((table, key))
        self._stamps[table] += 1

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do `work` once this transaction is on disk; forgotten when it is rolled back."""
        self._after.append(work)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See the newest state, change it (with `touch`), and commit it whole; nests."""
        with self._lock:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            with self._outermost():
                yield
            after, self._after = self._after, []
            for work in after:
                work()

    @contextmanager
    def _outermost(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        self._dirty = set()
        self._after = []
        self._depth = 1
        try:
            self._refresh()
            yield
            self._store()
        except BaseException:
            self._db.execute("ROLLBACK")
            self._version = -1
            self._after = []
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self._depth = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See the newest state without changing it."""
        with self._lock:
            if not self._depth:
                self._refresh()
            yield

    def _refresh(self) -> None:
        """Read what other processes committed since: removed entries are rows without a value."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        if self._version == -1:
            self._forget()
        rows = self._db.execute(
            "SELECT tab, key, value, turn FROM entry WHERE turn > ? ORDER BY turn, key", (self._turn,)
        )
        for tab, key, value, turn in rows:
            self._turn = max(self._turn, turn)
            if tab not in self._tables:
                continue
            self._stamps[tab] += 1
            if value is None:
                self._tables[tab].pop(key, None)
            else:
                self._tables[tab][key] = json.loads(value)
        self._version = version

    def _forget(self) -> None:
        self._turn = 0
        for name in TABLES:
            self._tables[name].clear()
            self._stamps[name] += 1

    def _store(self) -> None:
        if not self._dirty:
            return
        self._turn += 1
        for tab, key in self._dirty:
            value = self._tables[tab].get(key)
            text = None if value is None else json.dumps(value, separators=(",", ":"))
            self._db.execute("INSERT OR REPLACE INTO entry VALUES (?,?,?,?)", (tab, key, text, self._turn))

    def close(self) -> None:
        """Release the file."""
        self._db.close()
