"""A git server on loopback, an embedded host, clocks that only the test moves, and the real agent between them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.agent.board import Board, Commit, Status
from reconciler.agent.config import AgentConfig
from reconciler.agent.loop import Agent
from reconciler.agent.origin import open_origin
from reconciler.agent.sources import Clocks
from reconciler.agent.tools import Tools
from reconciler.cache import Cache
from reconciler.cli import plan_json
from reconciler.cli.lock import lock_path
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.model.command import Output, Runner
from reconciler.model.ports import Host
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Session
from reconciler.site import LocalSite
from reconciler.spec.load import load
from tests.fleet import Fleet
from tests.waiting import until

DAY = 86400.0
CONF = "/reconciler/jails/web/jail.conf"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
JAIL = "kind: Jail\nname: {name}\nrelease: 15.1-RELEASE\nstate: stopped\nlimits: {{maxproc: {limit}}}\n"


def jail(name: str, limit: int = 50, **more: str) -> str:
    """A spec whose `limit` says which version it is."""
    return JAIL.format(name=name, limit=limit) + "".join(f"{key}: {value}\n" for key, value in more.items())


class Work:
    """Somebody's clone, and the bare repository that they push to."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.tree = folder / "served/jails.git", folder / "clone"
        self.bare.parent.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), cwd=folder)
        self.git("init", "-q", "-b", "main", str(self.tree), cwd=folder)
        self.git("remote", "add", "origin", str(self.bare))
        self.options: tuple[str, ...] = ()

    def git(self, *argv: str, cwd: Path | None = None, **env: str) -> str:
        done = subprocess.run(
            ["git", *argv], cwd=cwd or self.tree, env=ENV | env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(
        self, subject: str = "change", files: Mapping[str, str | None] | None = None, *, push: bool = True
    ) -> str:
        """Write (or with None remove) files, commit, push; answers the commit."""
        for name, text in (files or {}).items():
            place = self.tree / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink() if text is None else place.write_text(text)
        self.git("add", "-A")
        self.git(*self.options, "commit", "-q", "--allow-empty", "-m", subject)
        if push:
            self.push()
        return self.git("rev-parse", "HEAD")

    def push(self, *refs: str) -> None:
        self.git("push", "-q", "--force", "origin", *(refs or ("HEAD",)))


@contextmanager
def daemon(folder: Path, port: int = 0) -> Iterator[str]:
    """`git daemon` over `folder`; answers its URL."""

    def begin(at: int) -> subprocess.Popen[bytes]:
        argv = ("git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={at}")
        where = (f"--base-path={folder}", str(folder))
        return subprocess.Popen((*argv, *where), env=ENV, stderr=subprocess.DEVNULL, start_new_session=True)

    process, port = listening(begin, port)
    try:
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def listening(begin: Callable[[int], subprocess.Popen[bytes]], port: int = 0) -> tuple[subprocess.Popen[bytes], int]:
    """A server on a port of loopback, as soon as it is answered there; begun again where somebody took the port."""
    for _ in range(10):
        at = port or free_port()
        process = begin(at)

        def answers(process: subprocess.Popen[bytes] = process, at: int = at) -> bool:
            if process.poll() is not None:
                return True
            with suppress(OSError), socket.create_connection(("127.0.0.1", at), timeout=5):
                return True
            return False

        until(answers)
        if process.poll() is None:
            return process, at
    raise AssertionError("no server could be started")


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class World:
    """Everything together. `advance` moves both clocks, `wall` alone jumps."""

    def __init__(self, fleet: Fleet, folder: Path, url: str, **config: Any) -> None:
        self.fleet, self.folder = fleet, folder
        self.wall, self.ticks = NOON, 1000.0
        self.runner: Runner = fleet.runner
        self.git: Runner = LocalRunner()
        self.sessions = 0
        self.records: list[tuple[str, str]] = []
        given = {"sources": [{"url": url}], "state": str(folder / "state"), "run": str(folder / "run"), "jitter": 0}
        self.config = AgentConfig.model_validate(given | config)
        self.stop = threading.Event()
        self.agent = self.start()

    def start(self, **config: Any) -> Agent:
        """A new agent over the same folders and host, as after a restart."""
        if config:
            self.config = AgentConfig.model_validate(self.config.model_dump(exclude_unset=True) | config)
        clocks = Clocks(lambda: self.wall, lambda: self.ticks, lambda: 1.0)
        origin = open_origin(self.config, self.git, clocks, "host")
        board = Board(Status("sandbox", self.wall))
        self.agent = Agent(self.config, self.tools(), origin, clocks, board, self.stop, local=_utc)
        return self.agent

    def tools(self) -> Tools:
        fleet = self.fleet

        def host() -> Host:
            return FreeBSDHost(self.runner, f"sandbox:{fleet.folder}")

        def settled(session: Session, decided: Decided, download: bool) -> tuple[Session, Decided]:
            self.sessions += 1
            return session, decided

        def document(session: Session, decided: Decided) -> Mapping[str, Any]:
            return plan_json.document(session, decided).model_dump(mode="json")

        @contextmanager
        def site(s: Session, stop: threading.Event, outputs: Callable[[Ref], Output]) -> Iterator[LocalSite]:
            request = s.request
            yield LocalSite(
                s.host,
                s.place,
                Cache(fleet.folder / "cache"),
                s.facts,
                "2026-11-22",
                mirror=fleet.mirror,
                parameters=request.parameters,
                extra_pools=request.extra_pools,
                outputs=outputs,
                stop=stop,
            )

        return Tools(
            host,
            lambda path: load(path, self.folder / "specs-cache"),
            settled,
            lambda at, pool: at.files.lock(lock_path(pool), "agent"),
            site,
            self._record,
            document,
        )

    def _record(self, commit: Commit, _specs: str) -> Any:
        self.records.append((commit.sha, commit.author))
        return _NoRecord()

    def cycle(self, *, after: float = 0.0) -> str:
        """One turn some time later; answers its outcome."""
        self.advance(after)
        self.wait = self.agent.cycle(("test",))
        last = self.status.last
        assert last is not None
        return last.outcome

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds

    @property
    def status(self) -> Status:
        return self.agent.board.now()

    @property
    def codes(self) -> list[str]:
        """What the last turn complained of."""
        return [problem.code for problem in self.status.problems]

    def limit(self, name: str = "web") -> int:
        """The version of a jail that the host shows: what its script would set."""
        files = self.fleet.session().seen.observed.files
        ours = [data for path, data in files.items() if path.startswith(f"jails/{name}/")]
        text = b"".join(data for data in ours if b"maxproc" in data)
        found = re.search(rb"maxproc:deny=(\d+)", text)
        return int(found[1]) if found else 0

    def meddle(self) -> None:
        """Change what only the tool should."""
        self.fleet.runner.write(CONF, (self.fleet.runner.read(CONF) or b"") + b"# by hand\n")

    def meddled(self) -> bool:
        return b"by hand" in (self.fleet.runner.read(CONF) or b"")

    def property(self) -> str:
        return dict(self.tools().host().datasets.local("zroot/reconciler", ("reconciler:commit",))).get(
            "reconciler:commit", ""
        )


class _NoRecord:
    def step(self, *_: object) -> None:
        """Nothing is recorded."""

    def end(self, status: str) -> None:
        """Nothing is recorded."""


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
