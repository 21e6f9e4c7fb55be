"""Each jail for itself: who fails waits alone, who was stopped by hand stays so, who is suspended is left alone."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command
from tests.agent.world import jail

BROKEN = "makejail: {text: 'CMD false'}\n"
RUNNING = jail("web").replace("state: stopped", "state: running")


@pytest.fixture
def hand(fleet):
    def run(*argv: str) -> str:
        done = fleet.runner.run(Command(argv))
        assert done.status == 0, done.stderr.decode()
        return done.stdout.decode()

    return run


def found(agent, name: str):
    return next(j for j in agent.status.jails if j.name == name)


def test_a_jail_that_fails_waits_longer_each_time_and_holds_nobody(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50), "specs/bad.yaml": jail("bad") + BROKEN})
    agent = world(backoff="10s", backoff_max="10m", stalled_after=3)
    assert agent.cycle() == "failed"
    assert (agent.limit(), found(agent, "web").condition, found(agent, "bad").condition) == (50, "Ready", "Progressing")
    assert agent.wait == 10
    waits = []
    for _ in range(6):
        began = len(agent.records)
        while len(agent.records) == began:
            agent.cycle(after=agent.wait)
        waits.append(round(found(agent, "bad").next_try - agent.wall))
    assert waits == [20, 40, 80, 160, 320, 600]
    assert (found(agent, "bad").condition, found(agent, "bad").failures) == ("Stalled", 7)
    assert "build-failed" in found(agent, "bad").reason
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    agent.cycle(after=1)
    assert agent.limit() == 60
    work.commit("healed", {"specs/bad.yaml": jail("bad")})
    assert agent.cycle(after=1) == "applied"
    assert [j.condition for j in agent.status.jails] == ["Ready", "Ready"]


def test_a_jail_stopped_by_hand_stays_stopped_until_it_is_started_by_hand(world, work, hand) -> None:
    work.commit("one", {"specs/web.yaml": RUNNING})
    agent = world()
    assert agent.cycle() == "applied", agent.status.problems
    hand("service", "reconciler_jails", "stop", "web")
    assert agent.cycle(after=60) == "unchanged"
    web = found(agent, "web")
    assert (web.condition, web.observed) == ("Held", "stopped")
    assert "stopped by the operator" in web.reason
    hand("service", "reconciler_jails", "start", "web")
    assert agent.cycle(after=60) == "unchanged"
    assert (found(agent, "web").condition, found(agent, "web").observed) == ("Ready", "running")


@pytest.mark.parametrize(
    ("policy", "outcome", "condition", "quota"),
    [
        ("correct", "applied", "Ready", "1G"),
        ("warn", "unchanged", "Held", "2G"),
        ("ignore", "unchanged", "Ready", "2G"),
    ],
)
def test_drift_is_put_right_told_of_or_left_as_the_spec_says(
    world, work, hand, policy, outcome, condition, quota
) -> None:
    volumes = f"drift: {{volumes: {policy}}}\nvolumes: [{{name: data, mountpoint: /data, quota: 1G}}]\n"
    work.commit("one", {"specs/web.yaml": jail("web") + volumes})
    agent = world()
    assert agent.cycle() == "applied", agent.status.problems
    dataset = "zroot/reconciler/volumes/web/data"
    hand("zfs", "set", "quota=2G", dataset)
    assert agent.cycle(after=60) == outcome
    web = found(agent, "web")
    assert (web.condition, hand("zfs", "get", "-H", "-o", "value", "quota", dataset).strip()) == (condition, quota)
    assert ("drift: warn" in web.reason) == (policy == "warn")
    assert agent.cycle(after=60) == "unchanged"
    assert found(agent, "web") == web


def test_a_suspended_jail_is_left_alone_and_others_are_not(world, work, hand) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50), "specs/db.yaml": jail("db", 50)})
    agent = world()
    agent.cycle()
    hand("zfs", "set", "reconciler:suspended=racks move", "zroot/reconciler/jails/web")
    work.commit("two", {"specs/web.yaml": jail("web", 60), "specs/db.yaml": jail("db", 60)})
    assert agent.cycle() == "applied"
    assert (agent.limit("web"), agent.limit("db")) == (50, 60)
    assert found(agent, "web").condition == "Suspended"
    agent.start()
    agent.cycle()
    assert agent.limit("web") == 50
    hand("zfs", "inherit", "reconciler:suspended", "zroot/reconciler/jails/web")
    assert agent.cycle() == "applied"
    assert agent.limit("web") == 60


def test_on_a_pool_that_is_not_ready_it_waits(world, work, hand) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    hand("zfs", "unmount", "zroot/reconciler/jails/web")
    hand("zfs", "unmount", "-f", "zroot/reconciler/jails")
    assert agent.cycle(after=60) == "waiting"
    assert agent.codes == ["pool-waiting"]
    hand("zfs", "mount", "zroot/reconciler/jails")
    hand("zfs", "mount", "zroot/reconciler/jails/web")
    assert agent.cycle(after=60) == "unchanged"


def test_a_held_lock_is_waited_for(world, work, fleet) -> None:
    from reconciler.cli.lock import lock_path

    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    with fleet.runner.lock(lock_path("zroot/reconciler"), "an operator"):
        assert agent.cycle() == "waiting"
        assert (agent.codes, agent.wait) == (["locked"], 5)
    assert agent.cycle() == "applied"


def test_a_folder_is_followed_as_well_and_its_copy_stays_while_it_is_edited(fleet, tmp_path) -> None:
    from tests.agent.world import World

    specs = tmp_path / "etc/specs"
    specs.mkdir(parents=True)
    (specs / "web.yaml").write_text(jail("web", 50))
    agent = World(fleet, tmp_path, "", sources=[{"path": str(tmp_path / "etc")}])
    assert agent.cycle() == "applied", agent.status.problems
    (specs / "web.yaml").write_text("kind: Jail\nname: web\n")
    agent.cycle()
    agent.cycle(after=2)
    assert agent.status.refused is not None
    agent.meddle()
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.meddled()) == (50, False)
    (specs / "web.yaml").write_text(jail("web", 60))
    agent.cycle()
    assert agent.cycle(after=2) == "applied"
    assert agent.limit() == 60


def test_data_of_a_jail_that_no_commit_names_any_more_stays(world, work, hand) -> None:
    volume = "volumes: [{name: data, mountpoint: /data}]\n"
    work.commit("two", {"specs/web.yaml": jail("web") + volume, "specs/db.yaml": jail("db") + volume})
    agent = world()
    assert agent.cycle() == "applied", agent.status.problems
    dataset = "zroot/reconciler/volumes/web/data"
    guid = hand("zfs", "get", "-H", "-o", "value", "guid", dataset)
    work.commit("one", {"specs/web.yaml": None})
    assert agent.cycle(after=60) == "applied", agent.status.problems
    assert [one.name for one in agent.status.jails] == ["db"]
    assert hand("zfs", "get", "-H", "-o", "value", "guid", dataset) == guid
    for _ in range(3):
        assert agent.cycle(after=86400) == "unchanged"
    work.git("revert", "--no-edit", "HEAD")
    work.push()
    assert agent.cycle(after=60) == "applied", agent.status.problems
    assert hand("zfs", "get", "-H", "-o", "value", "guid", dataset) == guid, "it has its data again"


def test_what_a_stopped_jail_wrote_is_in_the_way_of_a_commit_that_replaces_its_root(world, work, hand) -> None:
    work.commit("one", {"specs/web.yaml": RUNNING})
    agent = world()
    assert agent.cycle() == "applied", agent.status.problems
    hand("jexec", "web", "sh", "-c", "echo mine >/etc/mine")
    work.commit("two", {"specs/web.yaml": jail("web")})
    assert agent.cycle(after=60) == "applied", agent.status.problems
    another = jail("web") + "makejail: {text: 'CMD true'}\n"
    work.commit("three", {"specs/web.yaml": another})
    assert agent.cycle(after=60) == "refused"
    assert "undeclared-changes" in {problem.code for problem in agent.status.problems}
    assert "jails/web/2" not in hand("zfs", "list", "-H", "-o", "name")
    work.commit("four", {"specs/web.yaml": another + "ignore: [/etc/mine]\n"})
    assert agent.cycle(after=60) == "applied", agent.status.problems
    assert "jails/web/2" in hand("zfs", "list", "-H", "-o", "name")
