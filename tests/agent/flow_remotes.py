"""Remotes as they are in the world: https with a token, ssh with a key; and ones that lie, hang or flood."""

from __future__ import annotations

import socket
import threading

from reconciler.agent import git
from tests.agent.servers import https, ssh
from tests.agent.world import World, jail


def test_https_with_a_token(fleet, work, tmp_path) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    token = tmp_path / "token"
    token.write_text("s3cret-t0ken\n")
    with https(tmp_path, work.bare.parent, "s3cret-t0ken") as (url, certificate):
        source = {"url": f"{url}/jails.git", "token_file": str(token), "ca_file": str(certificate)}
        agent = World(fleet, tmp_path, "", sources=[source])
        assert agent.cycle() == "applied", agent.status.problems
        token.write_text("another\n")
        agent.cycle()
        assert agent.status.sources[0].problem.code == "source-unreachable"
        del source["ca_file"]
        agent.start(sources=[source])
        agent.cycle()
        assert "certificate" in agent.status.sources[0].problem.detail
    assert not [path for path in tmp_path.rglob("state/**/*") if path.is_file() and b"s3cret" in path.read_bytes()]


def test_ssh_with_a_key_and_never_to_a_stranger(fleet, work, tmp_path) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    with ssh(tmp_path) as (url, identity, known):
        source = {"url": f"{url}{work.bare}", "identity": str(identity), "known_hosts": str(known)}
        agent = World(fleet, tmp_path, "", sources=[source])
        assert agent.cycle() == "applied", agent.status.problems
        known.write_text("")
        agent.start()
        agent.cycle()
        assert "Host key verification failed" in agent.status.sources[0].problem.detail


def test_a_remote_that_hangs_is_given_up(fleet, work, tmp_path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        agent = World(fleet, tmp_path, f"git://127.0.0.1:{silent.getsockname()[1]}/x.git", timeout="1s")
        assert agent.cycle() == "waiting"
    assert agent.codes == ["source-unreachable"]


def test_a_remote_that_talks_nonsense_is_given_up(fleet, tmp_path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def talk() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"\x1b[2J\xff" * 1000)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        agent = World(fleet, tmp_path, f"git://127.0.0.1:{server.getsockname()[1]}/x.git", timeout="20s")
        assert agent.cycle() == "waiting"
        thread.join(30)
    assert agent.codes == ["source-unreachable"]


def test_a_repository_that_is_too_large_is_given_up(world, work, monkeypatch) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    (work.tree / "ballast").write_bytes(__import__("os").urandom(2_000_000))
    work.commit("large", {"specs/web.yaml": jail("web", 60)})
    monkeypatch.setattr(git, "MAX_REPOSITORY", 1_000_000)
    agent.cycle()
    assert (agent.status.sources[0].problem.code, agent.limit()) == ("repository-too-large", 50)
