"""What may become of the agent's own folder while it runs, and of a folder that it follows: the host stays kept."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.agent.git import Repository
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.wrapper import Trees, Wrapper
from tests.agent.world import ENV, Work, World, jail
from tests.waiting import PATIENCE

T = TypeVar("T")


def test_it_may_be_deleted_while_the_agent_runs(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    shutil.rmtree(agent.config.state)
    agent.meddle()
    assert agent.cycle(after=60) == "applied", agent.status.problems
    assert (agent.meddled(), agent.codes) == (False, [])
    shutil.rmtree(agent.config.state)
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    assert agent.cycle(after=60) == "applied", agent.status.problems
    assert agent.limit() == 60


def packed(agent: World) -> None:
    """Have everything in packs, as after some time."""
    argv = ["git", "-C", f"{agent.config.state}/repository", "gc", "-q"]
    subprocess.run(argv, check=True, timeout=60, capture_output=True)


def spoil(agent: World, *, short: bool) -> None:
    """A disk that lost what it held, or holds something else."""
    for file in Path(agent.config.state).glob("repository/objects/*/*"):
        if file.suffix in (".pack", ""):
            file.chmod(0o600)
            data = bytearray(file.read_bytes())
            data[12:-20] = bytes(len(data[12:-20]))
            file.write_bytes(b"" if short else data)


@pytest.mark.parametrize(
    ("short", "loose", "again"), [(False, False, False), (True, True, False), (False, True, True), (True, False, True)]
)
def test_a_damaged_copy_is_made_anew_and_the_host_kept_meanwhile(world, work, short, loose, again) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    if not loose:
        packed(agent)
    spoil(agent, short=short)
    if again:
        agent.start()
    agent.meddle()
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    outcomes = [agent.cycle(after=60)]
    kept = not agent.meddled()
    while agent.limit() != 60 and len(outcomes) < 4:
        outcomes.append(agent.cycle(after=60))
    assert agent.limit() == 60, (outcomes, agent.status.problems)
    assert kept or again, "without its copy an agent that begins has nothing to go by"
    assert agent.codes == []
    assert agent.cycle(after=60) == "unchanged"


def test_what_a_fetch_that_was_killed_left_is_cleared(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    folder = Path(agent.config.state) / "repository"
    left = [folder / "objects/pack/tmp_pack_x", folder / "objects/pack/tmp_idx_x", folder / "objects/ab/tmp_obj_x"]
    left += [folder / "refs/reconciler/origin/main.lock", folder / "packed-refs.lock", folder / "gc.pid"]
    left.append(folder.with_name("repository.new") / "HEAD")
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 1000)
    work.bare.rename(work.bare.with_name("gone.git"))
    agent.start()
    agent.cycle()
    assert [file for file in left if file.exists()] == []


def test_a_remote_that_is_gone_is_asked_no_more_often_however_the_clock_jumps(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    work.bare.rename(work.bare.with_name("gone.git"))
    for jump in (365 * 86400.0, -730 * 86400.0):
        agent.cycle(after=60)
        agent.wall += jump
        assert agent.agent.cycle() >= 5
        assert agent.status.last.seconds < 60


def test_a_turn_that_a_clock_jumps_in_lasted_as_long_as_it_did(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    look = agent.agent.origin.refresh

    def jumping(*, now: bool) -> None:
        look(now=now)
        agent.advance(7)
        agent.wall -= 86400.0

    agent.agent.origin.refresh = jumping
    agent.cycle()
    assert agent.status.last.seconds == 7


def test_who_is_told_to_end_waits_for_no_remote(tmp_path, fleet) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/jails.git"
        agent = World(fleet, tmp_path, url)
        agent.agent.origin.repository = Repository(tmp_path / "r", agent.git, timeout=PATIENCE * 2, stop=stop.is_set)
        agent.agent.origin.repository.open()
        agent.agent.origin.sources[0].repository = agent.agent.origin.repository
        thread = threading.Thread(target=agent.agent.cycle)
        thread.start()
        peer, _ = silent.accept()
        with peer:
            peer.recv(1)
            stop.set()
            thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "was told to end" in agent.status.problems[0].detail


def followed(fleet, tmp_path: Path) -> tuple[World, Path]:
    specs = tmp_path / "etc/specs"
    specs.mkdir(parents=True)
    (specs / "web.yaml").write_text(jail("web", 50))
    (specs / "db.yaml").write_text(jail("db", 50))
    return World(fleet, tmp_path, "", sources=[{"path": str(tmp_path / "etc")}]), specs


def test_a_folder_counts_once_nobody_writes_there_any_more(fleet, tmp_path) -> None:
    agent, specs = followed(fleet, tmp_path)
    assert agent.cycle() == "applied"
    (specs / "web.yaml").write_text(jail("web", 60))
    (specs / "db.yaml").unlink()  # as an editor or rsync(1) does, before it writes the next
    assert agent.cycle(after=0.1) == "unchanged"
    assert agent.wait <= 1
    (specs / "db.yaml").write_text(jail("db", 60))
    assert agent.cycle(after=1.5) == "unchanged", "it is another one than a moment ago"
    assert agent.cycle(after=1.5) == "applied"
    assert (agent.limit("web"), agent.limit("db")) == (60, 60)
    assert agent.cycle(after=60) == "unchanged"
    assert agent.wait == 60


@pytest.mark.parametrize("text", [jail("web", 90), ""])
def test_what_changes_while_it_is_copied_is_not_taken(fleet, tmp_path, text) -> None:
    agent, specs = followed(fleet, tmp_path)
    agent.cycle()
    (specs / "web.yaml").write_text(jail("web", 60))
    agent.cycle(after=2)
    origin = agent.agent.origin
    before = origin.show

    def late(checkout, sha) -> None:
        (specs / "web.yaml").write_text(text)
        before(checkout, sha)

    origin.show = late
    agent.cycle(after=2)
    origin.show = before
    assert (agent.codes, agent.limit(), agent.status.phase) == (["source-unreachable"], 50, "stalled")
    (specs / "web.yaml").write_text(jail("web", 70))
    agent.cycle(after=2)
    found = agent.cycle(after=2), agent.limit()
    assert found == ("applied", 70), agent.status.problems


def test_a_folder_may_be_removed_and_made_again(fleet, tmp_path) -> None:
    agent, specs = followed(fleet, tmp_path)
    agent.cycle()
    specs.parent.rename(tmp_path / "away")
    agent.meddle()
    assert agent.cycle(after=2) == "applied"
    assert (agent.meddled(), agent.status.sources[0].problem.code) == (False, "source-unreachable")
    os.symlink(tmp_path / "away", specs.parent)
    (tmp_path / "away/specs/web.yaml").write_text(jail("web", 60))
    outcomes = [agent.cycle(after=2) for _ in range(3)]
    assert "applied" in outcomes and agent.limit() == 60


def test_the_newest_approved_is_applied_while_a_newer_one_waits(world, work) -> None:
    from tests.agent.flow_git import approve_now

    first = work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(approval={"mode": "manual"})
    approve_now(agent, first)
    agent.cycle()
    second = work.commit("two", {"specs/web.yaml": jail("web", 60)})
    third = work.commit("three", {"specs/web.yaml": jail("web", 70)})
    approve_now(agent, second)
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.property(), agent.status.commit.sha) == (60, second, second)
    assert (agent.cycle(after=60), agent.status.approval.commit.sha) == ("unchanged", third)
    agent.meddle()
    assert (agent.cycle(after=60), agent.limit()) == ("applied", 60)
    approve_now(agent, third)
    assert (agent.cycle(after=60), agent.limit()) == ("applied", 70)


@pytest.mark.parametrize("room", [0, 5_000, 200_000])
def test_a_disk_that_is_full_everywhere_is_reported_and_leaves_nothing_that_stays(world, work, room) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    work.commit("two", {"specs/web.yaml": jail("web", 60), "specs/db.yaml": jail("db", 60)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        agent.cycle(after=60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert agent.status.problems or agent.status.sources[0].problem or agent.limit() == 60
    outcomes = [agent.cycle(after=1000) for _ in range(4)]
    assert outcomes[-1] == "unchanged", (outcomes, agent.status.problems)
    assert (agent.limit("web"), agent.limit("db"), agent.codes) == (60, 60, [])


class Hangs(Wrapper):
    """A host whose commands take too long, from the n-th on, until it is well again."""

    left = 1 << 30

    def _call(self, name: str, call: Callable[[], T]) -> T:
        self.left -= 1
        if self.left < 0:
            raise HostError(Diagnostic("host-timeout", "A command took too long", f"`{name}` was ended."), argv=(name,))
        return call()

    def run(self, command: Command) -> Completed:
        return self._call("run", lambda: self.inner.run(command))

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        return self._call("batch", lambda: self.inner.batch(commands))

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        return self._call("gather", lambda: self.inner.gather(commands, trees))


def test_commands_that_hang_end_the_turn_with_a_word_and_the_next_goes_on(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    agent.runner = hanging = Hangs(agent.fleet.runner)
    for number in range(5):
        work.commit(f"change {number}", {"specs/web.yaml": jail("web", 60 + number)})
        agent.start()
        hanging.left = number * 3
        assert agent.cycle(after=60) in ("failed", "waiting"), number
        assert agent.status.problems, number
        hanging.left = 1 << 30
        outcomes = [agent.cycle(after=1000) for _ in range(3)]
        assert outcomes[-1] == "unchanged", (number, outcomes, agent.status.problems)
        assert agent.limit() == 60 + number


def planted(work: Work, entries: bytes) -> str:
    """A commit of any tree, as whoever has a repository may make one; nothing of it lies in the clone."""
    tree = subprocess.run(
        ["git", "mktree", "-z", "--missing"], cwd=work.tree, env=ENV, input=entries, capture_output=True, check=True
    )
    sha = work.git("commit-tree", tree.stdout.decode().strip(), "-p", "HEAD", "-m", "planted")
    work.git("push", "-q", "--force", "origin", f"{sha}:refs/heads/main")
    return sha


def blob(work: Work, text: str) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=work.tree,
        env=ENV,
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def test_names_that_nobody_should_have_are_left_out(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    spec, other = blob(work, jail("web", 60)), blob(work, jail("evil", 1))
    names = [b"a\nb.yaml", b"\x1b[2J.yaml", b"\xff\xfe.yaml", "\u202egnp.yaml".encode(), b"x" * 300 + b".yaml"]
    inner = b"".join(b"100644 blob " + other.encode() + b"\t" + name + b"\0" for name in names)
    inner += b"100644 blob " + spec.encode() + b"\tweb.yaml\0"
    tree = subprocess.run(["git", "mktree", "-z"], cwd=work.tree, env=ENV, input=inner, capture_output=True, check=True)
    planted(work, b"040000 tree " + tree.stdout.strip() + b"\tspecs\0")
    assert agent.cycle(after=60) == "applied", agent.status.problems
    assert (agent.limit(), [one.name for one in agent.status.jails]) == (60, ["web"])
    assert agent.codes == ["tree-entry-skipped"] * len(names)


def test_a_tree_without_end_is_refused_and_the_host_kept(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    level = b"".join(b"100644 blob " + blob(work, "x").encode() + b"\tf%d\0" % n for n in range(10))
    for _ in range(9):  # ten thousand million files, in ten trees
        done = subprocess.run(
            ["git", "mktree", "-z"], cwd=work.tree, env=ENV, input=level, capture_output=True, check=True
        )
        level = b"".join(b"040000 tree " + done.stdout.strip() + b"\td%d\0" % n for n in range(10))
    planted(work, level)
    agent.meddle()
    assert agent.cycle(after=60) == "applied"
    assert (agent.codes, agent.meddled(), agent.status.refused is not None) == (["tree-too-large"], False, True)


@pytest.mark.parametrize("mark", [{}, {"reconciler:agent_suspended": "the racks are moved"}])
def test_a_pool_that_comes_or_is_suspended_while_it_is_looked_at_changes_nothing(world, work, mark) -> None:
    first = work.commit("one", {"specs/web.yaml": jail("web", 50)})
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    agent = world()
    agent.cycle()
    work.git("reset", "-q", "--hard", first)
    work.push()
    datasets = agent.agent._host.datasets
    told = datasets.local
    datasets.local = lambda *asked: setattr(datasets, "local", told) or {}  # as of a pool that is not imported yet
    if mark:
        datasets.set("zroot/reconciler", mark)
    assert agent.cycle(after=60) == "waiting"
    assert (agent.codes, agent.limit()) == (["pool-waiting"], 60)
    agent.cycle(after=60)
    assert (agent.codes, agent.limit(), agent.status.suspended != "") == (["commit-downgrade"], 60, bool(mark))
