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

from reconciler.agent import logs
from reconciler.agent.board import Board
from reconciler.agent.caution import cautions, kept, settled
from reconciler.agent.config import AgentConfig
from reconciler.agent.loop import Agent
from reconciler.agent.wake import Pace, Wake, watching
from reconciler.model.diagnostic import ReconcilerError

HANGUP = "SIGHUP"
FROM_OTHERS = frozenset({"webhook", "files changed"})
"""What may come as often as somebody likes."""


@dataclass(frozen=True)
class Beside:
    """What a part that runs beside the loop is given: it reads the board, and may say "look again"."""

    config: AgentConfig
    board: Board
    wake: Wake
    stop: threading.Event


Part = Callable[[Beside], AbstractContextManager[object]]
"""A web server, a notifier: begins when entered, and ends with the agent."""
Reread = Callable[[], AgentConfig]
"""Reads the configuration again. Raises SpecError."""
Make = Callable[[AgentConfig, Agent], Agent]
"""An agent of another configuration in the place of one that was there."""


def serve(agent: Agent, wake: Wake, parts: Sequence[Part], reread: Reread, make: Make) -> None:
    """Turn until SIGTERM or SIGINT; what has begun is brought to its end.

    SIGHUP reads the configuration again: another one that can be used is put in force between two turns, any other
    leaves the one in force, and stands on the board. SIGUSR1 asks for a turn at once. Raises ReconcilerError where the
    first configuration cannot be begun with.
    """
    before: AgentConfig | None = None
    with heeding(agent.stop, wake):
        while not agent.stop.is_set():
            try:
                after = _serve(agent, wake, parts, reread)
            except ReconcilerError as error:
                if before is None:
                    raise
                agent, before = make(before, agent), None
                _keep(agent, error)
                continue
            if after is None:
                return
            logs.log.info(logs.CONFIG_RELOADED)
            before, agent = agent.config, make(after, agent)


def _serve(agent: Agent, wake: Wake, parts: Sequence[Part], reread: Reread) -> AgentConfig | None:
    """Turn with one configuration; answers the next one, None when the agent is to end."""
    config = agent.config
    with ExitStack() as stack:
        folders = [Path(source.path) for source in config.sources if source.path is not None]
        watched = [stack.enter_context(watching(folder, wake)) for folder in folders]
        beside = Beside(config, agent.board, wake, agent.stop)
        for part in parts:
            stack.enter_context(part(beside))
        why: tuple[str, ...] = ("start",)
        pace = Pace(agent.clocks.ticks)
        while not agent.stop.is_set():
            if HANGUP in why and (other := _other(agent, reread)) is not None:
                return other
            wait = agent.cycle(why)
            # What a turn made of a large fleet was set aside while it was made; nothing of it may pile up.
            gc.unfreeze()
            gc.collect()
            for one in watched:
                one.look()
            if not agent.stop.is_set():
                why = wake.wait(wait)
                if why and FROM_OTHERS.issuperset(why) and agent.stop.wait(pace.wait()):
                    break
        agent.say(phase="stopping", next_wake=None)
    return None


def _other(agent: Agent, reread: Reread) -> AgentConfig | None:
    """The configuration to go on with; None where it is as it was, or cannot be used."""
    try:
        found = settled(agent.config, reread())
    except ReconcilerError as error:
        _keep(agent, error)
        return None
    agent.say(cautions=cautions(agent.config))
    return found if found != agent.config else None


def _keep(agent: Agent, error: ReconcilerError) -> None:
    """Say that the configuration stays as it is, and why."""
    agent.say(cautions=(*kept(error), *cautions(agent.config)))


@contextmanager
def heeding(stop: threading.Event, wake: Wake) -> Iterator[None]:
    """SIGTERM and SIGINT end it, SIGHUP and SIGUSR1 wake it. Only the main thread may set handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        wake.now("stop")

    def again(number: int, _frame: FrameType | None) -> None:
        wake.now(HANGUP if number == signal.SIGHUP else "order")

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: again, signal.SIGUSR1: again}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
