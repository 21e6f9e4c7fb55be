"""What was done, for people: runs and their steps, in SQLite. Never the truth about a host.

Losing the file loses history and nothing else, so nothing here ever fails a run: a file that is
damaged is moved aside, one that cannot be written switches the journal off; both with a warning.
Secrets never get in: values given to `conceal` and passwords in URLs are masked, output is a
short tail, and the file is ours alone (mode 0600).
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from reconciler.model.diagnostic import Diagnostic

T = TypeVar("T")
Warn = Callable[[Diagnostic], None]

VERSION = 1
TAIL_LIMIT = 4096
"""Characters kept of a step's output, from its end."""
DETAIL_LIMIT = 2048
RUNS_KEPT = 5000
_BUSY = 5.0
# A message of SQLite may quote the damaged bytes, and they need not be UTF-8.
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
_MAGIC = b"SQLite format 3\0"
_MASK = "***"
_PASSWORD = re.compile(r"(?<=://)[^\s/?#@]*@")
_SCHEMA = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, started REAL NOT NULL, ended REAL, status TEXT,
    commit_id TEXT NOT NULL, command TEXT NOT NULL, host TEXT NOT NULL, specs TEXT NOT NULL
) STRICT;
CREATE TABLE step (
    run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, number INTEGER NOT NULL, at REAL NOT NULL,
    ref TEXT NOT NULL, scope TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL,
    seconds REAL NOT NULL, detail TEXT NOT NULL, tail TEXT NOT NULL, PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX step_scope ON step (scope, run);
"""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as it was reported. `at` is in seconds since 1970, `seconds` how long it took."""

    ref: str
    scope: str
    action: str
    outcome: str
    seconds: float
    detail: str
    tail: str
    at: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `ended` and `status` are None while it runs, and for ever when it was killed."""

    id: int
    started: float
    ended: float | None
    status: str | None
    commit: str
    command: str
    host: str
    specs: str
    steps: tuple[StepRecord, ...] = ()


class Journal:
    """The journal of one machine. Its methods never raise; threads may share it. Made by `open_journal`."""

    def __init__(self, path: Path, warn: Warn, now: Callable[[], float]) -> None:
        """Open or make the file; `warn` hears what goes wrong, `now` gives seconds since 1970."""
        self._path, self._warn, self._now = path, warn, now
        self._lock = threading.RLock()
        self._secrets: tuple[str, ...] = ()
        self._db: sqlite3.Connection | None = None
        self._connect()

    @property
    def on(self) -> bool:
        """Whether anything is recorded."""
        return self._db is not None

    def conceal(self, secrets: Iterable[str]) -> None:
        """Mask these values in whatever is recorded from now on; very short ones hide nothing and are left."""
        with self._lock:
            known = {*self._secrets, *(line for value in secrets for line in (value, *value.splitlines()))}
            # The longest first, so that a value inside another does not leave the other's rest.
            self._secrets = tuple(sorted((v for v in known if len(v) >= 4), key=len, reverse=True))

    def begin_run(self, commit: str, command: str, host: str, specs: str) -> int:
        """Record that a run begins, and give its number; 0 when the journal is off.

        `commit` is a git commit or empty, `command` what the user typed, `specs` the digest of the specs.
        """
        texts = [self._clean(text, DETAIL_LIMIT) for text in (commit, command, host, specs)]

        def insert(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - ?", (RUNS_KEPT - 1,))
            sql = "INSERT INTO run (started, commit_id, command, host, specs) VALUES (?, ?, ?, ?, ?)"
            return db.execute(sql, (self._now(), *texts)).lastrowid or 0

        return self._do(insert, 0)

    def step(
        self,
        run: int,
        ref: str,
        scope: str,
        action: str,
        outcome: str,
        seconds: float,
        detail: str = "",
        tail: str | bytes = "",
    ) -> None:
        """Record one step of a run, with the end of its output."""
        text = tail.decode("utf-8", "replace") if isinstance(tail, bytes) else tail
        # Masked before it is cut: a secret across the cut would leave its end.
        row = [self._clean(part, DETAIL_LIMIT) for part in (ref, scope, action, outcome)]
        values = (
            run,
            run,
            self._now(),
            *row,
            seconds,
            self._clean(detail, DETAIL_LIMIT),
            self._mask(text)[-TAIL_LIMIT:],
        )
        sql = (
            "INSERT INTO step SELECT ?, (SELECT coalesce(max(number), 0) + 1 FROM step WHERE run = ?),"
            " ?, ?, ?, ?, ?, ?, ?, ?"
        )
        if run:
            self._do(lambda db: db.execute(sql, values) and None, None)

    def end_run(self, run: int, status: str) -> None:
        """Record how a run ended: `done`, `failed`, `refused` or whatever its report says."""
        sql = "UPDATE run SET ended = ?, status = ? WHERE id = ?"
        if run:
            self._do(lambda db: db.execute(sql, (self._now(), self._clean(status, 64), run)) and None, None)

    def history(self, limit: int = 20, jail: str | None = None, host: str | None = None) -> tuple[RunRecord, ...]:
        """The latest runs with their steps, newest first; with `jail`, only its runs and steps.

        `host` is a host's URL: only runs on it.
        """
        return self._do(lambda db: _history(db, limit, jail, host=host), ())

    def run(self, number: int) -> RunRecord | None:
        """One run with its steps; None when the journal has none of that number."""
        none: tuple[RunRecord, ...] = ()
        return next(iter(self._do(lambda db: _history(db, 1, None, number), none)), None)

    def close(self) -> None:
        """Close the file; what is recorded after that is lost."""
        with self._lock, suppress(sqlite3.Error):
            if self._db is not None:
                self._db.close()
            self._db = None

    def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do one transaction; what cannot be done is warned about once and then left."""
        with self._lock:
            if self._db is None:
                return otherwise
            try:
                with self._db:
                    return work(self._db)
            except sqlite3.OperationalError as error:
                self._switch_off(str(error))
            except _DAMAGED as error:
                self._move_aside(str(error))
            return otherwise

    def _connect(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _made(self._path)
            self._db = sqlite3.connect(self._path, timeout=_BUSY, check_same_thread=False)
            self._prepare(self._db)
        except (sqlite3.OperationalError, OSError) as error:
            self._switch_off(str(error))
        except _DAMAGED as error:
            self._move_aside(str(error))

    def _prepare(self, db: sqlite3.Connection) -> None:
        foreign = "SELECT user_version = 0 AND (SELECT count(*) FROM sqlite_master) > 0 FROM pragma_user_version"
        if db.execute(foreign).fetchone()[0]:  # asked before anything is written, and as one look
            raise sqlite3.OperationalError("it is a database of something else, and was left as it is")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages do not hold together")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise sqlite3.OperationalError(f"it has format {version}, and this program writes format {VERSION}")
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")

    def _switch_off(self, reason: str) -> None:
        self.close()
        detail = f"{self._path}: {reason}. This run is not recorded; nothing else is affected."
        hint = "Check the folder's owner, mode and free space, and what RECONCILER_JOURNAL names."
        self._warn(Diagnostic("journal-off", "The journal cannot be written", detail, hint, severity="warning"))

    def _move_aside(self, reason: str) -> None:
        """Begin a new file, and keep the damaged one for whoever wants to look."""
        if not self._path.is_file():  # such as /dev/null, which must stay where it is
            self._switch_off("it is not a regular file")
            return
        if not _looks_ours(self._path):  # RECONCILER_JOURNAL may name anything by mistake, /etc/passwd too
            self._switch_off(f"it is no journal ({reason}), and was left as it is")
            return
        self.close()
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._now())}")
        try:
            os.replace(self._path, aside)
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{suffix}", f"{aside}{suffix}")
        except OSError as error:
            self._switch_off(str(error))
            return
        detail = f"{self._path}: {reason}. It was moved to {aside.name}, and a new journal begun. Only history is lost."
        self._warn(Diagnostic("journal-damaged", "The journal was damaged", detail, severity="warning"))
        self._connect()

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return _PASSWORD.sub("", text).encode("utf-8", "replace").decode()

    def _clean(self, text: str, limit: int) -> str:
        return self._mask(text)[:limit]


def _looks_ours(path: Path) -> bool:
    """Whether a file that cannot be read as a journal was one: private, of this user, and named or begun like one."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            named = path.suffix == ".db" or file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
    return named and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _made(path: Path) -> None:
    """Make the file, ours alone. Raises OSError where something else than a file is there.

    One that is there is not opened: closing a descriptor would take the locks from every other connection that this
    process has to it (sqlite.org/howtocorrupt.html, 2.2), and an agent has several.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise


def open_journal(path: Path, warn: Warn, *, now: Callable[[], float] = time.time) -> Journal:
    """Open the journal, whatever state its file is in. `warn` is given `journal-off`, `journal-damaged`."""
    return Journal(path, warn, now)


_RUNS = """
SELECT id, started, ended, status, commit_id, command, host, specs FROM run
WHERE (:jail IS NULL OR id IN (SELECT run FROM step WHERE scope = :jail)) AND (:number IS NULL OR id = :number)
AND (:host IS NULL OR host = :host)
ORDER BY id DESC LIMIT :limit
"""
_STEPS = """
SELECT ref, scope, action, outcome, seconds, detail, tail, at FROM step
WHERE run = :run AND (:jail IS NULL OR scope = :jail) ORDER BY number
"""


def _history(
    db: sqlite3.Connection, limit: int, jail: str | None, number: int | None = None, host: str | None = None
) -> tuple[RunRecord, ...]:
    asked = {"jail": jail, "limit": max(limit, 0), "number": number, "host": host}
    runs = [RunRecord(*row) for row in db.execute(_RUNS, asked)]
    return tuple(
        replace(run, steps=tuple(StepRecord(*row) for row in db.execute(_STEPS, {"run": run.id, "jail": jail})))
        for run in runs
    )
