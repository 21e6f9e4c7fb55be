"""The agent as a process: signals, the wait between turns, and what goes on beside the loop."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from reconciler.agent.board import Board
from reconciler.agent.config import AgentConfig
from reconciler.agent.loop import Agent
from reconciler.agent.wake import Wake, watching


@dataclass(frozen=True)
class Beside:
    """What a part that runs beside the loop is given: it reads the board, and may say "look again"."""

    config: AgentConfig
    board: Board
    wake: Wake
    stop: threading.Event


Part = Callable[[Beside], AbstractContextManager[object]]
"""A web server, a notifier: begins when entered, and ends with the agent."""


def serve(agent: Agent, wake: Wake, parts: Sequence[Part] = ()) -> None:
    """Turn until SIGTERM or SIGINT; what has begun is brought to its end. SIGHUP asks for a turn at once."""
    config = agent.config
    with ExitStack() as stack:
        stack.enter_context(_signals(agent.stop, wake))
        for source in config.sources:
            if source.path is not None:
                stack.enter_context(watching(Path(source.path), wake))
        beside = Beside(config, agent.board, wake, agent.stop)
        for part in parts:
            stack.enter_context(part(beside))
        why: tuple[str, ...] = ("start",)
        while not agent.stop.is_set():
            wait = agent.cycle(why)
            # What a turn made of a large fleet was set aside while it was made; nothing of it may pile up.
            gc.unfreeze()
            gc.collect()
            if not agent.stop.is_set():
                why = wake.wait(wait)
        agent.say(phase="stopping", next_wake=None)


@contextmanager
def _signals(stop: threading.Event, wake: Wake) -> Iterator[None]:
    """SIGTERM and SIGINT end it, SIGHUP wakes it. Only the main thread may set handlers; others do without."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        wake.now("stop")

    def again(_number: int, _frame: FrameType | None) -> None:
        wake.now("SIGHUP")

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: again}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
