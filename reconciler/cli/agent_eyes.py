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
from reconciler.agent.narrate import warn
from reconciler.agent.page_view import DIFF_LIMIT, Records, Release, Shown
from reconciler.agent.run import Beside
from reconciler.agent.telling import plain_document
from reconciler.agent.wake import Wake
from reconciler.agent.web_act import Acts
from reconciler.cache import Cache, default_folder
from reconciler.cli import agent_orders, plan_json, session, suspending
from reconciler.cli.record import journal, journal_path, noted
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.journal import Journal, RunRecord
from reconciler.model.diagnostic import Diagnostic, FetchError, Refused
from reconciler.reconcile import Options, Session
from reconciler.releases.tag import Tags, Updates
from reconciler.spec.cache import cache_folder
from reconciler.spec.load import load
from reconciler.today import today

BY = "the status page"
REOPEN = 10.0
"""Seconds between two tries to open a journal that could not be read."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@contextmanager
def watched(beside: Beside) -> Iterator[None]:
    """The part that runs beside the loop."""
    opened = Reading(lambda: journal(warn), journal_path(os.environ, os.geteuid()), time.monotonic)
    known = Records(opened.history, opened.run, commits(beside.config), releases())
    try:
        with eyes(beside, known, acts(beside.config, beside.board, beside.wake)):
            yield
    finally:
        opened.close()


class Reading:
    """The journal as it is by now: begun anew where another file lies there, or this one could not be read for a while.

    An agent runs for months; meanwhile the file may be deleted, moved aside as damaged, or locked by somebody.
    """

    def __init__(self, opened: Callable[[], Journal], path: Path, ticks: Callable[[], float]) -> None:
        """`opened` opens it, `path` is where; `ticks` only ever grows."""
        self._open, self._path, self._ticks = opened, path, ticks
        self._one = threading.RLock()
        self._journal, self._which, self._since = opened(), _which(path), ticks()

    def history(self, limit: int, jail: str | None) -> tuple[RunRecord, ...]:
        """As the journal's."""
        return self._now().history(limit, jail)

    def run(self, number: int) -> RunRecord | None:
        """As the journal's."""
        return self._now().run(number)

    def close(self) -> None:
        """Close the file."""
        with self._one:
            self._journal.close()

    def _now(self) -> Journal:
        with self._one:
            stale = not self._journal.on or _which(self._path) != self._which
            if stale and self._ticks() - self._since >= REOPEN:
                self._journal.close()
                self._journal, self._which, self._since = self._open(), _which(self._path), self._ticks()
            return self._journal


def _which(path: Path) -> tuple[int, ...]:
    """Which file lies there; () where none does."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino)


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
        what = f"suspend {jail or '--all'}: {why} (by {BY})" if why else f"resume {jail or '--all'} (by {BY})"
        with noted(host.url, "", jail, what, warn):
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
        with noted(board.now().host, "", "", f"approve {commit} (by {BY})", warn):
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
