"""What the agent's eyes are given by the command line: the journal, the repository, the pool."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.agent import calendar, orders
from reconciler.agent.board import Board, Commit, Jail
from reconciler.agent.config import AgentConfig
from reconciler.agent.eyes import eyes
from reconciler.agent.git import Repository
from reconciler.agent.page_view import DIFF_LIMIT, Records, Release, Shown
from reconciler.agent.run import Beside
from reconciler.agent.telling import plain_document
from reconciler.agent.wake import Wake
from reconciler.agent.web_act import Acts
from reconciler.cache import Cache, default_folder
from reconciler.cli import agent_orders, plan_json, session, suspending
from reconciler.cli.record import journal
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.model.diagnostic import Diagnostic, FetchError, Refused
from reconciler.reconcile import Options, Session
from reconciler.releases.tag import Tags, Updates
from reconciler.spec.cache import cache_folder
from reconciler.spec.load import load
from reconciler.today import today

BY = "the status page"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@contextmanager
def watched(beside: Beside) -> Iterator[None]:
    """The part that runs beside the loop."""
    opened = journal()
    known = Records(opened.history, opened.run, commits(beside.config), releases())
    try:
        with eyes(beside, known, acts(beside.config, beside.board, beside.wake)):
            yield
    finally:
        opened.close()


def commits(config: AgentConfig) -> Callable[[str], Shown | None]:
    """What a commit of the agent's copy is; nothing where the source is a folder."""
    if config.sources[0].path is not None:
        return lambda _sha: None
    repository = Repository(Path(config.state) / "repository", LocalRunner())
    one = threading.Lock()

    def commit(sha: str) -> Shown | None:
        with one:  # however many pages ask, one git at a time
            try:
                if not repository.has(sha):
                    return None
                made = repository.commits(sha, None)[0]
                diff = repository.diff(made.sha, DIFF_LIMIT)
            except (FetchError, IndexError):
                return None
        shown = Commit(made.sha, made.author, made.email, made.subject, made.date)
        return Shown(shown, diff or "", diff is None)

    return commit


def releases() -> Callable[[Sequence[Jail]], Sequence[Release]]:
    """Until when releases are supported, by what was seen last of their signed tags; nothing is fetched."""
    tags = Tags(Cache(default_folder(os.environ)), Updates())
    machine = _ARCHITECTURES.get(os.uname().machine, os.uname().machine)

    def known(jails: Sequence[Jail]) -> Sequence[Release]:
        return calendar.releases(jails, today(), lambda release: tags.known(release, machine))

    return known


def acts(config: AgentConfig, board: Board, wake: Wake) -> Acts:
    """What the page lets others do; each ends with a look."""

    def mark(jail: str, why: str) -> None:
        host, dataset = session.changing(session.host_url(config.host)), f"{config.pool}/jails/{jail}"
        if not jail and why:
            agent_orders.suspend_all(host, config.pool, f"{why} (by {BY})")
        elif not jail:
            agent_orders.resume_all(host, config.pool)
        elif why:
            host.datasets.set(dataset, {suspending.PROPERTY: suspending.reason(f"{why} (by {BY})")})
        else:
            host.datasets.unset(dataset, suspending.PROPERTY)
        wake.now("page")

    one = threading.Lock()

    def preview(jail: str) -> Mapping[str, Any]:
        with one:  # however many ask, one plan at a time
            return resumed(config, board, jail)

    def approve(commit: str) -> None:
        waiting = board.now().approval
        if waiting is None or waiting.commit.sha != commit:
            detail = "Another commit waits by now, or none does. Look at the page again."
            raise Refused(Diagnostic("approval-other", "This is not the commit that waits", detail))
        orders.approve(Path(config.state), orders.Approved(commit, BY, time.time()))
        wake.now("page")

    return Acts(
        lambda: wake.now("page"),
        approve,
        mark,
        lambda jail: mark(jail, ""),
        preview,
    )


def resumed(config: AgentConfig, board: Board, jail: str) -> Mapping[str, Any]:
    """What would be done to a suspended jail, by the specs in force. Raises ReconcilerError."""
    status = board.now()
    if not status.specs:
        words = "It is not clear which commit is meant"
        raise Refused(Diagnostic("commit-unknown", words, "No commit is in force yet."))
    specs, chosen = Path(status.specs), frozenset({jail})
    options = Options(specs, config.labels, only=chosen, resumed=chosen, source=status.origin)
    host = session.reading(session.host_url(config.host))
    planned = Session(host, options, load(specs, cache_folder(os.environ)))
    document = plan_json.document(planned, planned.decide()).model_dump(mode="json")
    return plain_document(document, Path(status.specs.removesuffix(f"/{config.folder}")))
