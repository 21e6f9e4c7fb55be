"""What an agent costs: from a push to the first action, a turn of a large fleet, and what it keeps while it waits.

    python bench/agent.py [--jails 10000] [--cycles 1000] [--cache DIR]

The last line is JSON. CPU is that of the agent's own process, which the simulated host does not share; commands that a
real host would run (git among them) are not counted, as they are processes of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.noop import Host
from bench.seed import name_of, seeded
from reconciler.agent.orders import COMMIT
from reconciler.journal import open_journal
from reconciler.model.command import Command

REACH = {"push_to_action_s": 0.5, "changed_cpu_s": 0.3, "idle_mb": 80.0}
GIT = {
    "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@b", "GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@b",
}  # fmt: skip
JAIL = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\nlimits: {maxproc: %d}\n"
SECRET = "bench"


def git(folder: Path, *argv: str) -> None:
    """Run git. Raises CalledProcessError."""
    subprocess.run(["git", *argv], cwd=folder, env=GIT, check=True, capture_output=True)


class Repository:
    """A clone of one branch, and the bare repository behind it."""

    def __init__(self, folder: Path) -> None:
        """An empty one."""
        self.bare, self.tree = folder / "bare.git", folder / "clone"
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(folder, "init", "-q", "-b", "main", str(self.tree))

    def push(self) -> None:
        """Commit and push everything."""
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "-m", "change")
        git(self.tree, "push", "-q", str(self.bare), "main")


class Agent:
    """The real process, over a sandbox."""

    def __init__(self, folder: Path, repository: Repository, box: Path, **settings: str) -> None:
        """Start it."""
        self.run = folder / "run"
        flags = {"sources": json.dumps([{"url": str(repository.bare)}]), "state": str(folder / "state")}
        flags |= {"run": str(self.run), "host": f"sandbox:{box}", "log.level": "error"} | settings
        argv = [sys.executable, "-m", "reconciler.cli.main", "agent"]
        argv += [word for key, value in flags.items() for word in ("--set", f"{key}={value}")]
        home = {"XDG_CACHE_HOME": str(folder / "cache"), "RECONCILER_JOURNAL": str(folder / "journal.db")}
        self.process = subprocess.Popen(argv, env=os.environ | home, cwd=folder)

    def status(self) -> dict[str, Any]:
        """What it says of itself; {} before it says anything."""
        try:
            found: dict[str, Any] = json.loads((self.run / "agent.json").read_bytes())
            return found
        except (OSError, ValueError):
            return {}

    def until(self, ready: Callable[[dict[str, Any]], bool], limit: float = 600.0) -> float:
        """Wait until its status fits; answers when. Raises RuntimeError."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the agent ended with {self.process.returncode}")
            if (status := self.status()) and ready(status):
                return time.monotonic()
            time.sleep(0.002)
        raise RuntimeError(f"it did not come to that: {self.status()}")

    def rests(self, cycle: int) -> None:
        """Wait for the end of a turn after `cycle`."""
        self.until(lambda s: bool(s["cycles"]) and s["cycles"][0]["number"] > cycle and s["phase"] == "waiting")

    def cpu(self) -> float:
        """Its seconds of CPU, without those of its children."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident megabytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def wake(self) -> None:
        """Have it look at once."""
        self.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """Stop it as a service is stopped."""
        self.process.terminate()
        self.process.wait(60)


def pushed(folder: Path) -> float:
    """Seconds from a push to the first action, woken by a webhook; the best of five."""
    repository, port = Repository(folder), free_port()
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (repository.tree / "specs").mkdir()
    spec = repository.tree / "specs/web.yaml"
    spec.write_text(JAIL % 50)
    repository.push()
    settings = {"interval": "1h", "web.listen": f"127.0.0.1:{port}", "webhook.secret_file": str(secret)}
    agent = Agent(folder, repository, folder / "box", **settings)
    times = []
    try:
        agent.rests(0)
        for number in range(5):
            cycle = agent.status()["cycle"]
            spec.write_text(JAIL % (60 + number))
            repository.push()
            began = time.time()
            hook(port)
            agent.rests(cycle)
            times.append(first_action(folder) - began)
    finally:
        agent.end()
    return min(times)


def first_action(folder: Path) -> float:
    """When the latest run of the journal began: its first step begins at that moment."""
    journal = open_journal(folder / "journal.db", lambda problem: None)
    try:
        return journal.history(1)[0].started
    finally:
        journal.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hook(port: int) -> None:
    """What a forge sends. Raises RuntimeError where it is refused."""
    body = b"{}"
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/webhook", body, {"X-Signature": signature})
    answer = connection.getresponse()
    if answer.status >= 300:
        raise RuntimeError(f"the webhook said {answer.status}: {answer.read()[:200]!r}")


def fleet(folder: Path, cache: Path, count: int) -> dict[str, float]:
    """CPU of a turn that finds nothing and of one with one changed spec among `count`; memory afterwards.

    `changed_host_cpu_s` is what the simulated host took meanwhile, in its own process.
    """
    seed = seeded(cache, count)
    repository = Repository(folder)
    (repository.tree / "specs").mkdir()
    for path in (seed / "specs").iterdir():
        (repository.tree / "specs" / path.name).write_bytes(path.read_bytes())
    repository.push()
    host = Host(seed / "box")
    # An earlier run's agent has followed another repository here, and the pool remembers how far.
    host.asked.run(Command(("zfs", "inherit", COMMIT, "zroot/reconciler")))
    agent = Agent(folder, repository, host.box, interval="1h")
    try:
        agent.rests(0)
        settle(agent)
        idle = turn(agent)
        spec = repository.tree / "specs" / f"{name_of(count // 2)}.yaml"
        text = spec.read_text()
        spec.write_text(text.replace("maxproc: 200", "maxproc: 201"))
        repository.push()
        spent = host.cpu()
        changed = turn(agent)
        spent = host.cpu() - spent
        spec.write_text(text)
        repository.push()
        changed = min(changed, turn(agent))
        found = {"unchanged_cpu_s": idle, "changed_cpu_s": changed, "changed_host_cpu_s": spent}
        return found | {"large_mb": agent.memory()}
    finally:
        agent.end()
        host.close()


def settle(agent: Agent) -> None:
    """Turns until one changes nothing: the first records where the specs come from."""
    for _ in range(3):
        turn(agent)
        if agent.status()["cycles"][0]["outcome"] == "unchanged":
            return


def turn(agent: Agent) -> float:
    """CPU of one turn."""
    cycle, before = agent.status()["cycle"], agent.cpu()
    agent.wake()
    agent.rests(cycle)
    return agent.cpu() - before


def idle(folder: Path, cycles: int) -> dict[str, float]:
    """Memory of an agent of one jail that waits, and after so many turns, in each tenth of which its page is looked at.

    `grew_mb` is what the last half of the turns added.
    """
    repository = Repository(folder)
    (repository.tree / "specs").mkdir()
    (repository.tree / "specs/web.yaml").write_text(JAIL % 50)
    repository.push()
    port = free_port()
    agent = Agent(folder, repository, folder / "box", interval="1h", **{"web.listen": f"127.0.0.1:{port}"})
    try:
        agent.rests(0)
        for _ in range(20):
            turn(agent)
        found = {"cycles": float(cycles), "idle_mb": agent.memory()}
        pages(port)
        descriptors = len(os.listdir(f"/proc/{agent.process.pid}/fd"))
        for number in range(cycles):
            turn(agent)
            if number % 10 == 0:
                pages(port)
            if number == 20:
                found["in_use_mb"] = agent.memory()
            if number == cycles // 2:
                found["half_mb"] = agent.memory()
        found["after_mb"] = agent.memory()
        found["grew_mb"] = found["after_mb"] - found["half_mb"]
        found["descriptors_more"] = len(os.listdir(f"/proc/{agent.process.pid}/fd")) - descriptors
        return found
    finally:
        agent.end()


def pages(port: int) -> None:
    """Look at the page as a person does, and at the metrics as Prometheus does."""
    for path in ("/", "/jails/web", "/metrics", "/status.json"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()


def main() -> int:
    """Measure, print, and say what was reached."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # as installed: with its modules compiled
    parser = argparse.ArgumentParser()
    parser.add_argument("--jails", type=int, default=10_000)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/reconciler/bench")
    asked = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="agent-") as name:
        for part in ("push", "idle", "fleet"):
            (Path(name) / part).mkdir()
        found["push_to_action_s"] = pushed(Path(name) / "push")
        found |= idle(Path(name) / "idle", asked.cycles)
        if asked.jails:
            found |= {"jails": asked.jails} | fleet(Path(name) / "fleet", asked.cache, asked.jails)
    for key, value in found.items():
        reach = f"  (to reach: under {REACH[key]})" if key in REACH else ""
        print(f"{key:<20}{value:>10.2f}{reach}")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
