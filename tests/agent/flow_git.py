"""Whatever happens to a repository: the host follows what may be followed, and stays where it is otherwise."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.agent.orders import Approved, approve
from tests.agent.world import DAY, ENV, Work, daemon, jail


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Two key pairs, of which `ada` is allowed."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("ada", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True, timeout=60)
    allow(folder, "ada")
    return folder


def allow(keys: Path, *names: str) -> None:
    lines = [f"{name}@example.org {(keys / f'{name}.pub').read_text()}" for name in names]
    (keys / "allowed").write_text("".join(lines))


def sign(work: Work, keys: Path, name: str) -> None:
    work.options = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={keys / name}", "-c", "commit.gpgsign=true")


def trust(keys: Path, verify: str = "commits") -> dict[str, str]:
    return {"verify": verify, "allowed_signers": str(keys / "allowed")}


def test_of_fifty_commits_in_a_burst_only_the_newest_is_applied(world, work) -> None:
    work.commit("first", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    for number in range(50):
        work.commit(f"burst {number}", {"specs/web.yaml": jail("web", 100 + number)}, push=False)
    work.push()
    assert agent.cycle() == "applied"
    assert agent.limit() == 149
    assert len(agent.records) == 2


def test_a_bad_commit_is_reported_and_leaves_everything_and_a_good_one_heals(world, work) -> None:
    good = work.commit("good", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    bad = work.commit("bad", {"specs/web.yaml": "kind: Jail\nname: web\nrelaese: 15.1-RELEASE\n"})
    agent.cycle()
    refused = agent.status.refused
    assert refused.commit.sha == bad
    assert [(d.code, str(d.span)) for d in refused.diagnostics] == [("unknown-key", "specs/web.yaml:3:1")]
    assert (agent.limit(), agent.property(), agent.status.commit.sha, agent.status.phase) == (50, good, good, "stalled")
    work.commit("healed", {"specs/web.yaml": jail("web", 60)})
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.status.refused) == (60, None)


def test_a_commit_that_the_guard_refuses_leaves_everything(world, work) -> None:
    work.commit("two", {"specs/web.yaml": jail("web"), "specs/db.yaml": jail("db")})
    agent = world()
    agent.cycle()
    work.commit("none", {"specs/web.yaml": None, "specs/db.yaml": None, "specs/app.yaml": jail("app")})
    agent.cycle()
    assert [d.code for d in agent.status.refused.diagnostics] == ["prune-all"]
    assert {j.name for j in agent.status.jails} == {"web", "db"}


def test_drift_is_corrected_against_the_last_approved_commit_while_a_newer_one_waits(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(approval={"mode": "manual"})
    assert agent.cycle() == "waiting"
    assert (agent.status.phase, agent.limit()) == ("awaiting-approval", 0)
    assert agent.status.plan.create > 5
    approve_now(agent, agent.status.approval.commit.sha)
    assert agent.cycle() == "applied"
    second = work.commit("two", {"specs/web.yaml": jail("web", 60)})
    agent.cycle()
    assert (agent.status.approval.commit.sha, agent.limit()) == (second, 50)
    agent.meddle()
    assert agent.cycle() == "applied"
    assert not agent.meddled()
    assert agent.limit() == 50
    approve_now(agent, second)
    assert agent.cycle() == "applied"
    assert agent.limit() == 60


def approve_now(agent, sha: str, **more) -> None:
    approve(Path(agent.config.state), Approved(sha, "ada", agent.wall, **more))


def test_delayed_approval_counts_on_a_clock_that_does_not_jump(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(approval={"mode": "delayed", "after": "10m"})
    agent.cycle()
    assert agent.wait <= 600
    agent.wall += 365 * DAY
    assert agent.cycle(after=300) == "waiting"
    agent.wall -= 730 * DAY
    assert agent.cycle(after=299) == "waiting"
    assert agent.cycle(after=2) == "applied"


def test_delayed_approval_goes_on_counting_after_a_restart_and_counts_no_time_without_an_agent(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(approval={"mode": "delayed", "after": "10m"})
    agent.cycle()
    assert agent.cycle(after=400) == "waiting"
    agent.ticks, agent.wall = 3.0, agent.wall + DAY  # a day later, after a boot
    agent.start()
    assert agent.cycle() == "waiting"
    assert 100 < agent.status.approval.by_itself - agent.wall <= 200
    assert agent.cycle(after=190) == "waiting"
    assert agent.cycle(after=11) == "applied"
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    assert (agent.cycle(), agent.status.approval.by_itself) == ("unchanged", agent.wall + 600), "each waits for itself"


def test_a_revert_brings_the_host_back(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world()
    agent.cycle()
    work.commit("two", {"specs/web.yaml": jail("web", 60), "specs/db.yaml": jail("db", 70)})
    assert (agent.cycle(), agent.limit(), agent.limit("db")) == ("applied", 60, 70)
    work.git("revert", "--no-edit", "HEAD")
    work.push()
    assert agent.cycle() == "applied"
    assert (agent.limit(), [one.name for one in agent.status.jails]) == (50, ["web"])
    assert agent.cycle(after=60) == "unchanged"


def test_a_window_holds_commits_and_not_drift(world, work) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(windows={"allow": [{"begin": "02:00", "end": "03:00"}]})
    agent.cycle()
    assert agent.status.approval.window == agent.wall + 14 * 3600
    assert agent.cycle(after=14 * 3600) == "applied"


def test_a_force_push_and_a_branch_set_back_are_refused_though_the_folder_of_the_agent_is_gone(world, work) -> None:
    first = work.commit("one", {"specs/web.yaml": jail("web", 50)})
    second = work.commit("two", {"specs/web.yaml": jail("web", 60)})
    agent = world()
    agent.cycle()
    work.git("reset", "-q", "--hard", first)
    work.push()
    agent.cycle()
    assert agent.codes == ["commit-downgrade"]
    work.commit("another history", {"specs/web.yaml": jail("web", 70)})
    agent.cycle()
    assert agent.codes == ["history-rewritten"]
    subprocess.run(["rm", "-rf", agent.config.state], check=True)
    agent.start()
    agent.cycle()
    assert (agent.codes, agent.limit(), agent.property()) == (["history-rewritten"], 60, second)
    approve_now(agent, work.git("rev-parse", "HEAD"), rewrite=True)
    assert agent.cycle() == "applied"
    assert agent.limit() == 70


def test_unsigned_and_strangers_commits_are_refused_also_below_a_good_one(world, work, keys) -> None:
    sign(work, keys, "ada")
    good = work.commit("signed", {"specs/web.yaml": jail("web", 50)})
    agent = world(trust=trust(keys))
    assert agent.cycle() == "applied"
    assert agent.status.commit.verified == "ada@example.org"
    work.options = ()
    work.commit("unsigned", {"specs/web.yaml": jail("web", 60)})
    agent.cycle()
    assert (agent.codes, agent.limit()) == (["commit-untrusted"], 50)
    sign(work, keys, "ada")
    work.commit("signed, on top of an unsigned one", {"specs/web.yaml": jail("web", 70)})
    agent.cycle()
    assert (agent.codes, agent.limit()) == (["commit-untrusted"], 50)
    work.git("reset", "-q", "--hard", good)
    sign(work, keys, "eve")
    work.commit("signed by a stranger", {"specs/web.yaml": jail("web", 80)})
    agent.cycle()
    assert (agent.codes, agent.limit()) == (["commit-untrusted"], 50)
    assert "is signed by a key that is not among the allowed ones" in agent.status.problems[0].detail


def test_a_rotated_key_counts_at_once_and_a_revoked_one_ends_enforcing(world, work, keys) -> None:
    sign(work, keys, "ada")
    work.commit("by ada", {"specs/web.yaml": jail("web", 50)})
    agent = world(trust=trust(keys))
    agent.cycle()
    sign(work, keys, "eve")
    work.commit("by eve", {"specs/web.yaml": jail("web", 60)})
    agent.cycle()
    assert agent.limit() == 50
    allow(keys, "eve")
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.status.commit.verified) == (60, "eve@example.org")
    allow(keys, "ada")
    assert agent.cycle() == "refused"
    agent.meddle()
    assert agent.cycle() == "refused"
    assert agent.meddled()


def test_a_signed_tag_is_followed_and_an_unsigned_one_is_not(world, work, keys) -> None:
    sign(work, keys, "ada")
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    work.git(*work.options, "tag", "-s", "-m", "one", "v1.9")
    work.push("--tags")
    agent = world(trust=trust(keys, "all"), sources=[{"url": world().config.sources[0].url, "tag": "v*"}])
    assert agent.cycle() == "applied", agent.status.problems
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    work.git("tag", "-m", "two", "v1.10")
    work.push("--tags")
    agent.cycle()
    assert (agent.codes, agent.limit()) == (["tag-untrusted"], 50)
    work.git(*work.options, "tag", "-s", "-m", "two", "v1.11")
    work.push("--tags")
    assert agent.cycle() == "applied"
    assert agent.limit() == 60


def test_a_signed_tag_under_another_name_is_no_newer_one(world, work, keys) -> None:
    sign(work, keys, "ada")
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    work.git(*work.options, "tag", "-s", "-m", "one", "v1.0")
    work.commit("never released", {"specs/web.yaml": jail("web", 60)})
    work.git(*work.options, "tag", "-s", "-m", "a try", "try-5")
    work.push("--tags")
    agent = world(trust=trust(keys, "all"), sources=[{"url": world().config.sources[0].url, "tag": "v*"}])
    assert agent.cycle() == "applied", agent.status.problems
    work.git("update-ref", "refs/tags/v9.9", "refs/tags/try-5")
    work.push("--tags")
    agent.cycle()
    assert (agent.codes, agent.limit()) == (["tag-untrusted"], 50)
    assert "v9.9 was signed under another name, try-5" in agent.status.problems[0].detail


def test_what_a_key_did_that_was_taken_away_is_told_although_no_remote_answers(world, work, keys) -> None:
    sign(work, keys, "ada")
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(trust=trust(keys))
    agent.cycle()
    allow(keys, "eve")
    work.bare.rename(work.bare.with_name("gone.git"))
    agent.start()
    assert agent.cycle() == "waiting"
    assert agent.codes == ["commit-untrusted", "source-unreachable"]


def test_a_gpg_keyring_counts(world, work, tmp_path) -> None:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    argv = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--quick-gen-key"]
    argv += ["Ada <ada@example.org>", "ed25519", "sign", "never"]
    subprocess.run(argv, check=True, timeout=120, capture_output=True)
    work.options = ("-c", "user.signingkey=ada@example.org", "-c", "commit.gpgsign=true")
    os.environ["GNUPGHOME"] = ENV["GNUPGHOME"] = str(home)
    try:
        work.commit("signed", {"specs/web.yaml": jail("web", 50)})
    finally:
        del os.environ["GNUPGHOME"], ENV["GNUPGHOME"]
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o700)
    agent = world(trust={"verify": "commits", "gpg_home": str(empty)})
    agent.cycle()
    assert agent.codes == ["commit-untrusted"]
    agent.start(trust={"verify": "commits", "gpg_home": str(home)})
    assert agent.cycle() == "applied", agent.status.problems
    assert "Ada" in agent.status.commit.verified
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, timeout=60)


def test_a_remote_that_is_gone_for_an_hour_leaves_the_host_converging(fleet, tmp_path, work) -> None:
    from tests.agent.world import World

    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    with daemon(work.bare.parent) as url:
        port = int(url.rpartition(":")[2])
        agent = World(fleet, tmp_path, f"{url}/jails.git")
        agent.cycle()
    tries = set()
    for _minute in range(60):
        agent.advance(60)
        agent.agent.cycle()
        tries.add(agent.status.sources[0].last_try)
    health = agent.status.sources[0]
    assert (health.problem.code, health.healthy, health.failures) == ("source-unreachable", False, len(tries))
    assert 5 < len(tries) < 20
    agent.meddle()
    assert agent.cycle() == "applied"
    agent.start()  # and after a restart it goes on with what was applied last
    agent.meddle()
    assert agent.cycle() == "applied"
    assert not agent.meddled()
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    with daemon(work.bare.parent, port):
        assert agent.cycle(after=3600) == "applied"
    assert (agent.limit(), agent.status.sources[0].healthy) == (60, True)


def test_of_two_remotes_one_may_lag_or_be_gone(world, work, tmp_path) -> None:
    work.commit("one", {"specs/web.yaml": jail("web", 50)})
    mirror = tmp_path / "mirror.git"
    work.git("clone", "-q", "--mirror", str(work.bare), str(mirror))
    url = world().config.sources[0].url
    agent = world(sources=[{"name": "mirror", "url": str(mirror)}, {"name": "origin", "url": url}])
    agent.cycle()
    work.commit("two", {"specs/web.yaml": jail("web", 60)})
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.status.commit.source) == (60, "origin")
    mirror.rename(tmp_path / "gone.git")
    work.commit("three", {"specs/web.yaml": jail("web", 70)})
    assert agent.cycle() == "applied"
    assert agent.limit() == 70


def test_a_testing_branch_is_followed_on_top_of_main_and_not_after_a_restart(world, work) -> None:
    main = work.commit("one", {"specs/web.yaml": jail("web", 50)})
    agent = world(testing=True)
    agent.cycle()
    work.git("checkout", "-q", "-b", "testing-host")
    work.commit("try", {"specs/web.yaml": jail("web", 60)}, push=False)
    work.push("testing-host")
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.status.commit.testing, agent.property()) == (60, True, main)
    agent.start()
    assert agent.cycle() == "applied"
    assert (agent.limit(), agent.status.commit.testing) == (50, False)
    work.commit("try again", {"specs/web.yaml": jail("web", 70)}, push=False)
    work.push("testing-host")
    assert agent.cycle() == "applied"
    assert agent.limit() == 70
    work.git("checkout", "-q", "main")
    work.commit("main goes on", {"specs/web.yaml": jail("web", 80)})
    assert agent.cycle() == "applied"
    assert agent.limit() == 80


def test_links_submodules_filters_and_hooks_of_a_repository_do_nothing(world, work, tmp_path) -> None:
    canary = tmp_path / "canary"
    (work.tree / "specs").mkdir()
    (work.tree / "specs/passwd.yaml").symlink_to("/etc/passwd")
    (work.tree / ".gitattributes").write_text("* filter=evil\n")
    (work.tree / ".gitmodules").write_text(f'[submodule "x"]\npath = x\nurl = ext::sh -c "touch {canary}"\n')
    work.git("update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,x")
    work.git("add", "specs", ".gitattributes", ".gitmodules")
    work.git("commit", "-q", "-m", "hostile")
    hook = work.bare / "hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    (work.tree / "specs/web.yaml").write_text(jail("web", 50))
    work.git("add", "specs/web.yaml")
    work.git("commit", "-q", "-m", "and a spec")
    work.push()
    agent = world()
    assert agent.cycle() == "applied", agent.status.problems
    checkout = agent.agent.current.checkout
    assert not (checkout.folder / "specs/passwd.yaml").exists()
    assert sorted(checkout.skipped) == ["specs/passwd.yaml", "x"]
    assert agent.codes == ["tree-entry-skipped", "tree-entry-skipped"]
    assert not canary.exists()
