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


def test_a_fleet_at_rest_is_remembered_with_what_the_host_showed_of_it(world, work) -> None:
    host = 'kind: Host\nname: this\nmatch: {hostname: "*"}\n'
    work.commit("one", {"specs/web.yaml": jail("web", 50), "specs/host.yaml": host})
    agent = world()
    assert (agent.cycle(), agent.cycle()) == ("applied", "unchanged")
    resting = agent.agent.engine.memory.resting
    assert resting is not None and resting.raw.raw
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    assert agent.cycle() == "applied" and agent.limit() == 60
    after = agent.agent.engine.memory.resting
    assert after is not resting and after.common is resting.common, "everything was planned again"
