"""What ^C and SIGTERM do to a run: what is being done ends, and nothing new begins."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class Stopping:
    """`event` is set by the first signal; `signal` is its number, 0 before."""

    event: threading.Event = field(default_factory=threading.Event)
    signal: int = 0

    @property
    def status(self) -> int:
        """The exit status that says by which signal a run was stopped: 130 or 143."""
        return 128 + self.signal


@contextmanager
def stopping(running: Callable[[], list[str]]) -> Iterator[Stopping]:
    """While the context lasts, signals only set the event, and say what is still waited for."""
    state = Stopping()

    def heard(number: int, _frame: FrameType | None) -> None:
        state.signal = state.signal or number
        state.event.set()
        names = ", ".join(running()) or "nothing"
        print(f"reconcile: stopping; waiting for what has begun: {names}", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
