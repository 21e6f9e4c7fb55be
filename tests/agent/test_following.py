"""An agent follows a repository: what is committed is what the host becomes."""

from __future__ import annotations

from tests.agent.world import jail


def test_a_commit_converges_and_a_revert_converges_back(world, work) -> None:
    first = work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(interval="60s", jitter="30s")
    assert agent.cycle() == "applied", agent.status.problems
    assert (agent.limit(), agent.property(), agent.status.commit.author) == (50, first, "Ada")
    assert (agent.cycle(), agent.wait) == ("unchanged", 90)
    second = work.commit("two", {"specs/web.yaml": jail("web", 60)})
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.property()) == (60, second)
    work.git("revert", "--no-edit", "HEAD")
    work.push()
    assert agent.cycle() == "applied"
    assert agent.limit() == 50
    assert [jail.condition for jail in agent.status.jails] == ["Ready"]
