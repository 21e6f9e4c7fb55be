"""The agent dies, and the next one goes on: at every call to the host, every git, every file of its own."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.wraps import FailRunner
from tests.agent.world import World, jail
from tests.sweep import EVERY

WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "subprocess.Popen")


def dies(world: World, prepare: Callable[[World], None]) -> bool:
    """Whether one turn in a process of its own was killed before its end."""
    pid = os.fork()
    if pid == 0:
        try:
            world.start()
            prepare(world)
            world.agent.cycle()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def recovers(world: World, expected: int) -> None:
    """A new agent comes to the newest commit within two turns, and then rests."""
    world.start()
    outcomes = [world.cycle(), world.cycle(after=60)]
    if outcomes[-1] != "unchanged":
        outcomes.append(world.cycle(after=60))
    assert outcomes[-1] == "unchanged", (outcomes, world.status.problems)
    assert world.limit() == expected
    assert world.property() == world.status.commit.sha
    assert [j.condition for j in world.status.jails] == ["Ready"]


def host_call(number: int) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        when = "after" if number % 2 else "before"
        world.runner = FailRunner(world.fleet.runner, number, when, "kill", changing=True)
        world.agent.tools = world.tools()
        world.agent.engine.tools = world.agent.candidates.tools = world.agent.tools

    return prepare


def own_write(number: int) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        state = world.config.state
        left = number

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in WRITES:
                ours = any(isinstance(arg, str | os.PathLike) and str(arg).startswith(state) for arg in args)
                if ours or event == "subprocess.Popen":
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return prepare


@pytest.mark.parametrize("point", [host_call, own_write])
def test_a_turn_killed_anywhere_is_finished_by_the_next_agent(world, work, point) -> None:
    work.commit("first", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    assert agent.cycle() == "applied"
    number = 1
    while True:
        work.commit(f"change {number}", {"specs/web.yaml": jail("web", 100 + number), "notes": f"{number}\n"})
        killed = dies(agent, point(number))
        recovers(agent, 100 + number)
        if not killed:
            break
        number += EVERY
    assert number > 5, "it was hardly ever killed"


@pytest.mark.parametrize("number", range(1, 40) if EVERY == 1 else [1, 2, 3, 5, 8, 12, 17])
def test_the_very_first_turn_may_be_killed_too(world, work, number) -> None:
    work.commit("first", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    assert dies(agent, host_call(number)) or number > 17, "it has not so many calls"
    recovers(agent, 50)


def test_a_full_disk_at_checkout_leaves_the_last_commit_in_force(world, work) -> None:
    work.commit("first", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    work.commit("large", {"specs/web.yaml": jail("web", 60) + "# x\n" * 300_000})
    agent.agent.origin.refresh(now=True)  # git has room; the files of the commit have not
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        agent.meddle()
        assert agent.cycle() == "applied"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (agent.codes, agent.limit(), agent.meddled()) == (["agent-folder"], 50, False)
    assert agent.cycle(after=60) == "applied"
    assert agent.limit() == 60


def test_what_an_agent_keeps_does_not_grow(world, work) -> None:
    work.commit("first", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    descriptors, files = len(os.listdir("/proc/self/fd")), count(agent)
    for _ in range(300):
        assert agent.cycle(after=60) == "unchanged"
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert count(agent) == files
    assert len(agent.status.cycles) <= 20


def count(agent: World) -> int:
    return sum(len(names) for _, _, names in os.walk(Path(agent.config.state)))
