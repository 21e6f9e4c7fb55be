"""What signals do to a run. ^C and SIGTERM: what is being done ends, and nothing new begins. SIGHUP: nothing.

A terminal that is closed, or a connection that is lost, is nobody's wish to stop: a jail that was just stopped
for its new root would stay down. Such a run goes on to its end, and `reconcile history` says how that was.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
        with suppress(OSError):  # the terminal may have gone before
            print(f"reconcile: stopping; waiting for what has begun: {names}", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup(1) did it already
        # A handler that does nothing, for what is ignored would be ignored by all that a jail's start begins.
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
