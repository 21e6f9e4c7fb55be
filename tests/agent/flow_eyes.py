"""The whole agent as a process: a push with a webhook, a page that shows it, metrics, news, a hangup, an end.

Run by `make test-slow`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from reconciler.hosts.sandbox import processes
from reconciler.hosts.sandbox.machine import Machine
from tests.agent.world import Work, jail
from tests.waiting import PATIENCE, until

TOKEN, SECRET = "correct horse battery staple", "a secret that signs"


class Agent:
    """`reconcile agent` over an embedded host."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, Work(folder)
        (folder / "token").write_text(TOKEN)
        (folder / "secret").write_text(SECRET)
        config = {
            "sources": [{"url": f"file://{self.work.bare}"}],
            "host": f"sandbox:{folder / 'host'}",
            "state": str(folder / "state"),
            "run": str(folder / "run"),
            "interval": "1h",
            "web": {"listen": "127.0.0.1:0", "actions": True, "token_file": str(folder / "token")},
            "webhook": {"kind": "generic", "secret_file": str(folder / "secret")},
            "notify": [{"command": ["/bin/sh", "-c", f"cat >> {folder}/news; echo >> {folder}/news"]}],
            "log": {"format": "json"},
        }
        (folder / "agent.yaml").write_text(json.dumps(config))
        environ = {**os.environ, "HOME": str(folder), "RECONCILER_JOURNAL": str(folder / "journal.db")}
        argv = [sys.executable, "-m", "reconciler.cli.main", "agent", "--config", str(folder / "agent.yaml")]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log, cwd=folder)
        found = self.until(
            lambda: next((line["address"] for line in self.lines() if line["event"] == "web.listening"), "")
        )
        self.url = f"http://{found}"

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, each line an object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def until(self, found: Callable[[], Any]) -> Any:
        """What is found as soon as there is something, while it lives."""

        def alive() -> Any:
            assert self.process.poll() is None, self.log.read_text()
            return found()

        return until(alive, self.log.read_text)

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def signed_in(self) -> str:
        """The cookie of a session."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE)
        with closing(connection):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/login", urlencode({"token": TOKEN}), form)
            return str(connection.getresponse().headers["Set-Cookie"]).partition(";")[0]

    def post(self, path: str, body: bytes = b"", **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, given, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return int(answer.status)
        except HTTPError as error:
            error.close()
            return error.code

    def status(self) -> Any:
        return json.loads(self.get("/status.json"))

    def applied(self, sha: str) -> Any:
        """The status once that commit is in force and the host at rest."""

        def found() -> Any:
            status = self.status()
            done = status["commit"] and status["commit"]["sha"] == sha and status["phase"] == "waiting"
            return status if done and status["cycles"] and status["cycles"][0]["commit"] == sha else None

        return self.until(found)

    def rests(self) -> bool:
        """Whether no turn is under way, nobody is connected, and no command of its own runs. Asks it nothing."""
        status = json.loads((self.folder / "run/agent.json").read_text())
        last = status["cycles"][0] if status["cycles"] else {"number": 0}
        connected = sum(what.startswith("socket:") for what in self.descriptors()) > 1  # it listens on one
        ended = status["phase"] == "waiting" and last["number"] == status["cycle"]
        return ended and not connected and not self.children()

    def children(self) -> str:
        """The commands that it runs, by number."""
        found = ""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(FileNotFoundError):  # a thread that has ended
                found += (task / "children").read_text()
        return found

    def descriptors(self) -> list[str]:
        """What it holds open."""
        found = []
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found.append(os.readlink(each))
        return sorted(found)

    def memory(self) -> int:
        """KiB that are resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") // 1024

    def hook(self) -> int:
        signature = hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
        return self.post("/webhook", b"{}", X_Signature=f"sha256={signature}")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """One that is ended whatever happens."""
    made = Agent(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    processes.kill_everything(Machine(tmp_path / "host"))


def test_from_a_push_to_the_page(agent: Agent):
    first = agent.work.commit("Begin with web", {"specs/web.yaml": jail("web", 50)})
    assert agent.hook() == 202
    status = agent.applied(first)
    assert [jail["condition"] for jail in status["jails"]] == ["Ready"]
    assert "Begin with web" in agent.get("/") and "15.1-RELEASE" in agent.get("/")

    second = agent.work.commit("Let web have 60", {"specs/web.yaml": jail("web", 60)})
    pushed = time.monotonic()
    assert agent.hook() == 202
    agent.applied(second)
    print(f"from push to rest: {time.monotonic() - pushed:.2f} s")
    diff = agent.get(f"/commits/{second}")
    assert "-limits: {maxproc: 50}" in diff and "+limits: {maxproc: 60}" in diff
    run = re.search(r'href="(/runs/\d+)"', agent.get("/jails/web"))
    assert run is not None and "web" in agent.get(run[1]) and "Let web have 60" in agent.get(run[1])

    bad = agent.work.commit("Break it", {"specs/web.yaml": jail("web", 60) + "memroy: 1\n"})
    agent.post("/act/sync", authorization=f"Bearer {TOKEN}")
    agent.until(lambda: (agent.status()["refused"] or {}).get("commit", {}).get("sha") == bad)
    assert "unknown-key" in agent.get("/") and agent.status()["commit"]["sha"] == second

    metrics = agent.get("/metrics")
    assert f'reconciler_commit_info{{branch="main",commit="{second}"}} 1.0' in metrics
    assert 'reconciler_webhooks_total{outcome="accepted"} 2.0' in metrics
    assert 'reconciler_jails{condition="Ready"} 1.0' in metrics and "reconciler_commit_refused 1.0" in metrics
    told = agent.until(lambda: [json.loads(line) for line in (agent.folder / "news").read_text().splitlines() if line])
    agent.until(lambda: "commit-refused" in (agent.folder / "news").read_text())
    assert {"commit-applied"} <= {one["event"] for one in told}


def test_jails_are_suspended_and_resumed_from_the_page(agent: Agent):
    first = agent.work.commit("Begin", {"specs/web.yaml": jail("web", 50)})
    agent.hook()
    agent.applied(first)
    form = {"authorization": f"Bearer {TOKEN}", "content_type": "application/x-www-form-urlencoded"}
    agent.post("/act/suspend", b"jail=web&reason=I+look", **form)
    agent.until(lambda: [jail["condition"] for jail in agent.status()["jails"]] == ["Suspended"])
    second = agent.work.commit("More", {"specs/web.yaml": jail("web", 70)})
    agent.hook()
    agent.applied(second)
    assert "I look (by the status page)" in agent.get("/jails/web")
    cookie = agent.signed_in()
    shown = agent.get("/resume/web", cookie=cookie)
    assert "write created.sh" in shown and "<code>specs/web.yaml:1</code>" in shown
    assert [jail["condition"] for jail in agent.status()["jails"]] == ["Suspended"], "a look changes nothing"
    agent.post("/act/resume", b"jail=web", **form)
    agent.until(lambda: [jail["condition"] for jail in agent.status()["jails"]] == ["Ready"])
    agent.post("/act/suspend", b"reason=holidays", **form)
    agent.until(lambda: agent.status()["phase"] == "suspended")
    agent.post("/act/resume", b"", **form)
    agent.until(lambda: agent.status()["phase"] == "waiting")


def test_a_hangup_takes_the_configuration_anew_and_a_bad_one_changes_nothing(agent: Agent):
    first = agent.work.commit("Begin", {"specs/web.yaml": jail("web", 50)})
    agent.hook()
    agent.applied(first)
    file = agent.folder / "agent.yaml"
    good = json.loads(file.read_text())
    file.write_text(json.dumps(good | {"approval": {"mode": "automatical"}}))
    agent.process.send_signal(signal.SIGHUP)
    agent.until(lambda: [one["code"] for one in agent.status()["cautions"]] == ["config-kept", "bad-value"])
    assert "config-kept" in agent.get("/")
    file.write_text(json.dumps(good | {"approval": {"mode": "manual"}}))
    port = agent.url.rpartition(":")[2]
    file.write_text(
        json.dumps(good | {"approval": {"mode": "manual"}, "web": good["web"] | {"listen": f"127.0.0.1:{port}"}})
    )
    agent.process.send_signal(signal.SIGHUP)
    agent.until(lambda: any(line["event"] == "config.reloaded" for line in agent.lines()))
    agent.until(lambda: sum(line["event"] == "web.listening" for line in agent.lines()) == 2)
    agent.work.commit("More", {"specs/web.yaml": jail("web", 60)})
    agent.hook()
    agent.until(lambda: agent.status()["phase"] == "awaiting-approval")
    status = agent.status()
    assert status["cautions"] == [] and status["commit"]["sha"] == first
    assert len(status["cycles"]) > 2, "history goes on"


def test_it_ends_when_told_and_says_nothing_secret(agent: Agent):
    first = agent.work.commit("Begin", {"specs/web.yaml": jail("web", 50)})
    agent.process.send_signal(signal.SIGHUP)
    agent.applied(first)
    agent.process.terminate()
    assert agent.process.wait(PATIENCE) == 0
    events = [line["event"] for line in agent.lines()]
    assert events[0] == "agent.started" and events[-1] == "agent.stopped"
    assert "git.moved" in events and "plan.made" in events
    for secret in (TOKEN, SECRET):
        assert secret not in agent.log.read_text()


def test_hundreds_of_turns_and_requests_leave_memory_and_descriptors_as_they_were(agent: Agent):
    first = agent.work.commit("Begin", {"specs/web.yaml": jail("web", 50)})
    agent.hook()
    agent.applied(first)

    def burst(count: int) -> tuple[int, list[str]]:
        for number in range(count):
            agent.get("/" if number % 2 else "/metrics")
            if number % 10 == 0:
                before = agent.status()["cycle"]
                agent.hook()
                agent.until(lambda: agent.status()["cycle"] > before)  # noqa: B023 (called at once)
        agent.until(agent.rests)
        return agent.memory(), agent.descriptors()

    burst(200)
    memory, descriptors = burst(100)
    for _ in range(3):
        after, open_now = burst(200)
    print(f"memory {memory} -> {after} KiB, descriptors {len(descriptors)} -> {len(open_now)}")
    assert after - memory < 3072
    assert len(open_now) <= len(descriptors) + 1, (descriptors, open_now)
