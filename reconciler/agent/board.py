"""What the agent does, as one frozen value: for status, the page, metrics and notifications.

The loop writes, everyone else reads. Times are seconds since 1970 (UTC), durations seconds. Texts come from
git, specs and jails and are shown as they are: whoever renders them escapes them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reconciler.model.diagnostic import Diagnostic

Phase = Literal[
    "starting",
    "waiting",
    "fetching",
    "verifying",
    "planning",
    "awaiting-approval",
    "applying",
    "stalled",
    "suspended",
    "stopping",
]
Condition = Literal["Ready", "Progressing", "Stalled", "Suspended", "Held"]
Ended = Literal["unchanged", "applied", "failed", "refused", "waiting", "suspended"]

HISTORY = 20
"""Cycles kept on the board, the latest first. Everything older stands in the journal."""
TAIL = 4096
"""Bytes kept of a running step's output, from its end."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `verified` names the key or principal that signed it, "" where nothing asked for a signature.

    For a source that is a folder `sha` is the digest of its specs, and `branch` is empty.
    """

    sha: str
    author: str = ""
    email: str = ""
    subject: str = ""
    date: float = 0.0
    verified: str = ""
    branch: str = ""
    source: str = ""
    testing: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A commit that is not applied, and why."""

    commit: Commit
    diagnostics: tuple[Diagnostic, ...]
    since: float


@dataclass(frozen=True, slots=True)
class Approval:
    """A commit whose plan is made and waits. `by_itself` is when it goes on alone, None when only a hand lets it.

    `window` is when the next maintenance window opens, None where none stands in the way. `specs` is the folder of our
    own that holds its specs.
    """

    commit: Commit
    since: float
    by_itself: float | None = None
    window: float | None = None
    specs: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan: counts of steps, the jails it stops, and the document that `reconcile plan --json` prints."""

    commit: str
    made: float
    create: int = 0
    change: int = 0
    remove: int = 0
    interrupted: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.create or self.change or self.remove)


@dataclass(frozen=True, slots=True)
class Jail:
    """One jail. `declared` and `observed` are running, stopped or absent; "" in `declared`: no spec names it.

    `next_try` is when a failing jail is looked after again. `since` is when `condition` became what it is.
    `release` is as its spec has it, `root` the live generation and `good` the last that passed its check.
    """

    name: str
    declared: str
    observed: str
    condition: Condition
    reason: str = ""
    since: float = 0.0
    failures: int = 0
    next_try: float | None = None
    release: str = ""
    root: int = 0
    good: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A step that is being done. `began` is when; `tail` the end of what its commands printed so far."""

    number: int
    address: str
    scope: str
    title: str
    began: float
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One turn of the loop that has ended. `counts` go by outcome of steps: applied, failed, blocked ..."""

    number: int
    began: float
    ended: float
    outcome: Ended
    commit: str = ""
    why: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One source: when it last answered, and what is wrong. `url` holds no password."""

    name: str
    url: str
    branch: str = ""
    tip: str = ""
    last_try: float | None = None
    last_good: float | None = None
    failures: int = 0
    next_try: float | None = None
    problem: Diagnostic | None = None

    @property
    def healthy(self) -> bool:
        """Whether the last try was answered."""
        return self.problem is None and self.last_good is not None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at one moment. `commit` is the one that the host converges to; `tip` the newest that was seen.

    `specs` is the folder of our own that holds the specs of `commit`, `origin` what the pool records as their source.
    `state` is the agent's folder, `labels` are those that its configuration gives this machine. `problems` are of the
    last turn, `cautions` of the configuration. Past `overdue` (of the clock that never jumps) the loop hangs; None
    while it may take as long as it likes.
    """

    host: str
    started: float
    version: str = ""
    pid: int = 0
    cycle: int = 0
    phase: Phase = "starting"
    phase_since: float = 0.0
    why: tuple[str, ...] = ()
    commit: Commit | None = None
    tip: Commit | None = None
    applied: float | None = None
    refused: Refusal | None = None
    approval: Approval | None = None
    suspended: str = ""
    plan: Planned | None = None
    jails: tuple[Jail, ...] = ()
    steps: tuple[Running, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    cautions: tuple[Diagnostic, ...] = ()
    sources: tuple[SourceHealth, ...] = ()
    next_wake: float | None = None
    specs: str = ""
    origin: str = ""
    state: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    overdue: float | None = None

    @property
    def last(self) -> Cycle | None:
        """The cycle that ended last."""
        return self.cycles[0] if self.cycles else None


class Board:
    """Holds the status; threads may share it."""

    def __init__(self, status: Status) -> None:
        """Begin with `status`, as version 0."""
        self._status, self._version = status, 0
        self._changed = threading.Condition()

    @property
    def version(self) -> int:
        """Counts the changes."""
        with self._changed:
            return self._version

    def now(self) -> Status:
        """The status at this moment."""
        with self._changed:
            return self._status

    def update(self, **changes: Any) -> Status:
        """Replace fields, tell those who wait, and give the new status. What says nothing new wakes nobody."""
        with self._changed:
            after = replace(self._status, **changes)
            if after != self._status:
                self._status = after
                self._version += 1
                self._changed.notify_all()
            return self._status

    def edit(self, change: Any) -> Status:
        """Replace the status by `change(status)` in one go, for changes that depend on what is there."""
        with self._changed:
            after: Status = change(self._status)
            if after != self._status:
                self._status = after
                self._version += 1
                self._changed.notify_all()
            return self._status

    def wait(self, version: int, timeout: float) -> tuple[int, Status]:
        """The version and status as soon as there is a newer one than `version`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version, timeout)
            return self._version, self._status
