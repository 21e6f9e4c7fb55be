"""SIGHUP: another configuration is put in force between two turns, or the one before stays and says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.agent.config import AgentConfig
from reconciler.agent.loop import Agent
from reconciler.agent.run import HANGUP, Beside, serve
from reconciler.agent.wake import Wake
from reconciler.model.diagnostic import Diagnostic, ReconcilerError, SpecError
from tests.agent.world import Work, World, jail
from tests.fleet import Fleet
from tests.waiting import PATIENCE, until


def test_a_reload_takes_what_can_be_used_and_keeps_what_was_there_else(fleet: Fleet, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    work.commit("first", {"specs/web.yaml": jail("web", 50)})
    world, wake = World(fleet, tmp_path, str(work.bare), interval="1h"), Wake()
    board, found, entered, left = world.agent.board, [world.config], [], []

    @contextmanager
    def part(beside: Beside) -> Iterator[None]:
        if beside.config.jobs == 13:
            raise ReconcilerError(Diagnostic("listen-failed", "No"))
        entered.append(beside.config.jobs)
        yield
        left.append(beside.config.jobs)

    def reread() -> AgentConfig:
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    def make(config: AgentConfig, before: Agent) -> Agent:
        world.config = config
        made = world.start()
        return Agent(config, made.tools, made.origin, made.clocks, before.board, before.stop)

    def told() -> list[str]:
        """Have it reload, and wait for the turn that follows; what the board says then."""
        cycle = board.now().cycle
        wake.now(HANGUP)
        until(lambda: board.now().cycle > cycle and board.now().phase == "waiting", board.now)
        return [problem.code for problem in board.now().cautions]

    def other(**more: Any) -> AgentConfig:
        return world.config.model_copy(update=more)

    thread = threading.Thread(target=serve, args=(world.agent, wake, [part], reread, make))
    thread.start()
    try:
        until(lambda: board.now().phase == "waiting", board.now)
        assert (told(), entered) == ([], [4])
        found[0] = SpecError(Diagnostic("bad-value", "Wrong"))  # type: ignore[call-overload]
        assert (told(), entered) == (["config-kept", "bad-value"], [4])
        found[0] = other(pool="tank/other")
        assert (told(), entered) == (["config-kept", "config-needs-restart"], [4])
        found[0] = other(jobs=9)
        assert (told(), entered, left) == ([], [4, 9], [4])
        found[0] = other(jobs=13)
        assert (told(), entered, left) == (["config-kept", "listen-failed"], [4, 9, 9], [4, 9])
        found[0] = other(jobs=2)
        assert (told(), entered) == ([], [4, 9, 9, 2])
        assert board.now().commit is not None and world.limit() == 50
    finally:
        world.agent.stop.set()
        wake.now("stop")
        thread.join(PATIENCE)
    assert left == [4, 9, 9, 2] and board.now().phase == "stopping"
