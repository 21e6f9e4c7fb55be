"""What the agent is given by the command line: drivers, caches, the journal."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler import __version__
from reconciler.agent import logs
from reconciler.agent.board import Board, Commit, Status
from reconciler.agent.caution import cautions
from reconciler.agent.config import AgentConfig
from reconciler.agent.loop import Agent
from reconciler.agent.narrate import warn
from reconciler.agent.origin import open_origin
from reconciler.agent.published import Published
from reconciler.agent.sources import Clocks
from reconciler.agent.tools import Tools
from reconciler.cli import plan_json, session
from reconciler.cli.levels import settled
from reconciler.cli.lock import locked
from reconciler.cli.mirrors import offered, patience_of
from reconciler.cli.record import Record
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.model.command import Output
from reconciler.model.ports import Host
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Session
from reconciler.site import LocalSite
from reconciler.spec.cache import cache_folder
from reconciler.spec.load import load


def make_agent(config: AgentConfig, *, adopt: bool = False, before: Agent | None = None) -> Agent:
    """An agent of this process, which nothing has been asked of yet; it goes on with the board of one `before` it."""
    url = session.host_url(config.host or os.environ.get("RECONCILER_HOST", ""))
    clocks = Clocks(time.time, time.monotonic, random.random)
    name = socket.gethostname()
    board = before.board if before else Board(Status(url, time.time(), __version__, os.getpid()))
    board.update(cautions=cautions(config), state=config.state, labels=config.labels)
    stop = before.stop if before else threading.Event()
    origin = open_origin(config, LocalRunner(), clocks, name.partition(".")[0], stop.is_set)
    published = Published(Path(config.run))
    made = Agent(config, tools(config), origin, clocks, board, stop, published.show, adopt=adopt)
    if before is not None:  # another configuration is no restart: a testing branch goes on, and so does who waits
        made.first_seen, made.failures.found = before.first_seen, before.failures.found
    return made


def tools(config: AgentConfig) -> Tools:
    """The real things."""
    url = session.host_url(config.host or os.environ.get("RECONCILER_HOST", ""))
    cache = cache_folder(os.environ)

    def opened() -> Host:
        return session.changing(url)

    def look_into(current: Session, decided: Decided, download: bool) -> tuple[Session, Decided]:
        patience = patience_of(current.document, offline=False) if download else None
        return settled(current, decided, config.mirror, patience, _examined)

    def hold(host: Host, pool: str) -> Any:
        return locked(host, pool, "agent")

    def document(current: Session, decided: Decided) -> Mapping[str, Any]:
        found: Mapping[str, Any] = plan_json.document(current, decided).model_dump(mode="json")
        return found

    @contextmanager
    def site(current: Session, stop: threading.Event, outputs: Callable[[Ref], Output]) -> Iterator[LocalSite]:
        patience = patience_of(current.document, offline=False)
        with offered(config.mirror, url, current.document, patience) as offer:
            yield session.site(current, offer=offer, stop=stop, outputs=outputs)

    def record(commit: Commit, specs: str) -> Record:
        by = f" ({commit.author})" if commit.author else ""
        return Record.begin(url, specs, commit.sha, f"reconcile agent: {commit.subject}{by}", warn)

    return Tools(
        opened,
        lambda path: load(path, cache),
        look_into,
        hold,
        site,
        record,
        document,
    )


def _examined(release: str) -> None:
    logs.log.info(logs.RELEASE_EXAMINED, release=release)
