"""The agent on the command line, as an operator types it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.lock import lock_path
from reconciler.hosts.open import open_runner
from tests.agent.world import Work, jail
from tests.waiting import PATIENCE, until


class Shell:
    """`reconcile` in a process of its own, with everything it keeps below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = Work(folder / "work")
        self.env = os.environ | {
            "RECONCILER_HOST": f"sandbox:{folder / 'host'}",
            "RECONCILER_JOURNAL": str(folder / "journal.db"),
            "RECONCILER_AGENT_SOURCES": json.dumps([{"url": str(self.work.bare)}]),
            "RECONCILER_AGENT_STATE": str(folder / "state"),
            "RECONCILER_AGENT_RUN": str(folder / "run"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def __call__(self, *words: str, expect: int = 0) -> str:
        argv = [sys.executable, "-m", "reconciler.cli.main", *words]
        done = subprocess.run(
            argv, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path)
    yield made
    made("sandbox", "shutdown")


def test_once_applies_waits_for_approval_and_writes_history(shell) -> None:
    shell.work.commit("Add web", {"specs/web.yaml": jail("web", 50)})
    shell.env["RECONCILER_AGENT_APPROVAL__MODE"] = "manual"
    assert "awaits approval" in shell("agent", "--once")
    sha = shell.work.git("rev-parse", "HEAD")
    assert f"{sha} is approved. No agent runs" in shell("approve", sha[:12])
    assert "applied: " in shell("agent", "--once")
    assert f"reconcile agent: Add web (Ada)  commit {sha[:12]}" in shell("history")
    shell.work.commit("Break web", {"specs/web.yaml": "kind: Jail\nname: web\n"})
    said = shell("agent", "--once", expect=3)
    assert "specs/web.yaml" in said and "is refused" in said


def test_once_says_by_its_status_that_another_run_holds_the_lock(shell) -> None:
    shell.work.commit("Add web", {"specs/web.yaml": jail("web", 50)})
    shell("agent", "--once")
    shell.work.commit("Change web", {"specs/web.yaml": jail("web", 60)})
    runner = open_runner(shell.env["RECONCILER_HOST"])
    with runner.lock(lock_path("zroot/reconciler"), "an operator"):
        said = shell("agent", "--once", expect=1)
    assert "an operator" in said and "waiting: " in said
    assert "applied: " in shell("agent", "--once")


def test_once_is_woken_by_others_without_harm_and_ends_when_told(shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/jails.git"
        shell.env["RECONCILER_AGENT_SOURCES"] = json.dumps([{"url": url}])
        argv = [sys.executable, "-m", "reconciler.cli.main", "agent", "--once"]
        agent = subprocess.Popen(argv, env=shell.env, cwd=shell.folder, stdout=subprocess.DEVNULL)
        peer, _ = silent.accept()
        with peer:
            shell("approve", "a" * 40)
            agent.send_signal(signal.SIGHUP)
            assert agent.poll() is None
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(PATIENCE) == 1


def test_suspended_as_a_whole_it_looks_and_changes_nothing_until_resume_shows_the_diff(shell) -> None:
    shell.work.commit("Add web", {"specs/web.yaml": jail("web", 50)})
    shell("agent", "--once")
    assert "suspended" in shell("suspend", "--all", "--reason", "move of the racks")
    shell.work.commit("Change web", {"specs/web.yaml": jail("web", 60)})
    assert "awaits approval" in shell("agent", "--once")
    assert "the agent is suspended: move of the racks" in shell("why-not", "web", expect=2)
    specs = str(shell.work.tree / "specs")
    assert "2 to change" in shell("resume", "--all", "--specs", specs)
    assert "applied" in shell("agent", "--once")


def test_resuming_all_shows_what_came_meanwhile_and_history_tells_who_did_it(shell) -> None:
    shell.work.commit("Add web", {"specs/web.yaml": jail("web", 50)})
    config = shell.folder / "agent.yaml"
    config.write_text(f"run: {shell.env.pop('RECONCILER_AGENT_RUN')}\n")
    shell.env["RECONCILER_AGENT_CONFIG"] = str(config)
    argv = [sys.executable, "-m", "reconciler.cli.main", "agent", "--set", "interval=1s", "--set", "jitter=0"]
    agent = subprocess.Popen(argv, env=shell.env, cwd=shell.folder, stderr=subprocess.DEVNULL)
    status = shell.folder / "run/agent.json"

    def said(key: str) -> object:
        return json.loads(status.read_text()).get(key) if status.exists() else None

    try:
        until(lambda: said("commit") and said("phase") == "waiting")
        shell("suspend", "--all", "--reason", "move of the racks")
        sha = shell.work.commit("Change web", {"specs/web.yaml": jail("web", 60)})
        until(lambda: said("approval"))
        told = shell("resume", "--all", "--dry-run")
        assert f"What came meanwhile, {sha[:12]} 'Change web'" in told and "2 to change" in told
        shell("resume", "--all")
        until(lambda: said("commit")["sha"] == sha and said("phase") == "waiting")
    finally:
        agent.terminate()
        assert agent.wait(PATIENCE) == 0
    shell("approve", sha, "--allow-prune")
    told = shell("history")
    assert "suspend --all: move of the racks" in told and "resume --all" in told
    assert f"approve {sha} --allow-prune" in told


def test_status_and_why_not_tell_what_a_running_agent_does(shell) -> None:
    shell.work.commit("Add web", {"specs/web.yaml": jail("web", 50)})
    argv = [sys.executable, "-m", "reconciler.cli.main", "agent", "--set", "interval=1s", "--set", "jitter=0"]
    agent = subprocess.Popen(argv, env=shell.env, cwd=shell.folder, stderr=subprocess.DEVNULL)
    try:
        status = shell.folder / "run/agent.json"

        def rests() -> bool:
            said = json.loads(status.read_text()) if status.exists() else {}
            return bool(said and said["phase"] == "waiting" and said["cycles"][0]["outcome"] == "unchanged")

        until(rests)
        said = shell("status", expect=0)
        assert "'Add web' by Ada" in said
        assert "an agent is running" in shell("agent", "--once", expect=1).lower()
        shell.work.commit("Break web", {"specs/web.yaml": "kind: Jail\nname: web\nsize: 4\n"})
        until(lambda: json.loads(status.read_text())["refused"])
        said = shell("why-not", "web", expect=2)
        assert "unknown-key" in said and "(specs/web.yaml:4:8)" in said
    finally:
        agent.terminate()
        assert agent.wait(PATIENCE) == 0
    assert "agent:" not in shell("status", "--specs", str(shell.work.tree / "specs"), expect=1)
