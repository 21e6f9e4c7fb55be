"""What the command line brings along: the agent knows no driver, prints nothing, and keeps no journal itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reconciler.agent.board import Commit
from reconciler.model.action import Site, Step
from reconciler.model.command import Output
from reconciler.model.outcome import Result
from reconciler.model.ports import Host
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Session
from reconciler.spec.specset import SpecSet


class Record(Protocol):
    """One run in the journal."""

    def step(self, step: Step, result: Result, tail: bytes) -> None:
        """A step ended."""
        ...

    def end(self, status: str) -> None:
        """The run ended."""
        ...


MakeSite = Callable[[Session, threading.Event, Callable[[Ref], Output]], AbstractContextManager[Site]]
"""Makes the place where a session's actions happen, while its context lasts: what stops it, where outputs go."""


@dataclass(frozen=True)
class Tools:
    """`host` opens the host; `load` reads specs; `settled` looks into releases that are to be fetched; `locked` holds
    the pool's lock; `site` is where actions happen; `record` begins an entry of the journal; `document` is a plan as
    JSON's values."""

    host: Callable[[], Host]
    load: Callable[[Path], SpecSet]
    settled: Callable[[Session, Decided, bool], tuple[Session, Decided]]
    locked: Callable[[Host, str], AbstractContextManager[None]]
    site: MakeSite
    record: Callable[[Commit, str], Record]
    document: Callable[[Session, Decided], Mapping[str, Any]]
