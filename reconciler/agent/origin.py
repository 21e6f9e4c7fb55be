"""Where commits come from: remotes that git follows, or a folder of this machine, under one interface."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from reconciler.agent.board import Commit, SourceHealth
from reconciler.agent.choose import Offer
from reconciler.agent.config import AgentConfig
from reconciler.agent.git import Repository, unusable
from reconciler.agent.sources import Clocks, GitSource
from reconciler.agent.tree import MAX_FILE, MAX_FILES, MAX_TOTAL, Checkout
from reconciler.agent.trust import Trust
from reconciler.model.command import Runner
from reconciler.model.diagnostic import Diagnostic, FetchError

_KNOWN = 1000
_FRESH = "repository.new"
SETTLED = 1.0
"""Seconds for which a folder has to stay as it is before it counts."""


class Origin(Protocol):
    """What the loop asks of its sources. `name` is what the pool records as the source of its specs."""

    @property
    def name(self) -> str: ...
    def open(self) -> None:
        """Make ready. Raises FetchError (`agent-folder`)."""
        ...

    def refresh(self, *, now: bool) -> None:
        """Ask every source that is due; with `now` those too that failed lately. What fails stands in `health`.

        Raises FetchError (`agent-folder`) where our own folder has gone and cannot be made again.
        """
        ...

    def due(self) -> float | None:
        """In how many seconds a source wants to be asked, where that is not the usual time."""
        ...

    def offers(self) -> list[Offer]:
        """What each source said last."""
        ...

    def health(self) -> tuple[SourceHealth, ...]: ...
    def has(self, sha: str) -> bool: ...
    def contains(self, newer: str, older: str) -> bool: ...
    def commit(self, sha: str, offer: Offer | None) -> Commit:
        """What is known of a commit. Raises FetchError."""
        ...

    def check(self, sha: str, last: str) -> str:
        """Who signed it. Raises FetchError (`commit-untrusted`)."""
        ...

    def show(self, checkout: Checkout, sha: str) -> None:
        """Make a folder hold a commit. Raises FetchError."""
        ...

    def keep(self, sha: str) -> None:
        """Hold the commit that is in force, whatever the remotes do."""
        ...


@dataclass
class GitOrigin:
    """Remotes of one repository."""

    config: AgentConfig
    runner: Runner
    clocks: Clocks
    testing: str = ""
    stop: Callable[[], bool] = lambda: False
    sources: list[GitSource] = field(init=False)
    _ancestors: dict[tuple[str, str], bool] = field(default_factory=dict)
    _commits: dict[str, Commit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self._renewed = -self.config.backoff_max
        self._use(self._copy("repository"))

    @property
    def name(self) -> str:
        """The first remote and the folder of specs: the others stand in for it."""
        return f"git {self.sources[0].health.url}#{self.config.folder}"

    def open(self) -> None:
        """The copy of the repository."""
        shutil.rmtree(self._copy(_FRESH).folder, ignore_errors=True)
        self.repository.open()

    def refresh(self, *, now: bool) -> None:
        """Ask the remotes, once the copy is whole."""
        if not self.repository.there:
            self._use(self._copy("repository"))
            self.repository.open()
        elif self.repository.damaged and self.clocks.ticks() >= self._renewed + self.config.backoff_max:
            self._renew()
        for source in self.sources:
            source.refresh(now=now)

    def due(self) -> float | None:
        """When the first of those that failed is asked again."""
        return min((due for source in self.sources if (due := source.due) is not None), default=None)

    def _copy(self, name: str) -> Repository:
        folder = Path(self.config.state) / name
        return Repository(folder, self.runner, timeout=self.config.timeout, stop=self.stop)

    def _use(self, repository: Repository) -> None:
        """Go on with this copy; nothing is known of it yet."""
        self.repository = repository
        self.trust = Trust(self.config.trust, repository)
        self._ancestors.clear()
        self._commits.clear()
        self.sources = [
            GitSource(source, repository, self.config, self.clocks, self.testing) for source in self.config.sources
        ]

    def _renew(self) -> None:
        """Fetch everything beside a damaged copy, which stays in use until some remote has answered."""
        self._renewed = self.clocks.ticks()
        before, known = self.repository, self.sources
        fresh = self._copy(_FRESH)
        shutil.rmtree(fresh.folder, ignore_errors=True)
        with suppress(FetchError, OSError):
            fresh.open()
            self._use(fresh)
            for source in self.sources:
                source.refresh(now=True)
            if self.offers():
                shutil.rmtree(before.folder, ignore_errors=True)
                fresh.folder = fresh.folder.rename(before.folder)
                return
        self._use(before)
        self.sources = known

    def offers(self) -> list[Offer]:
        """In the order of the configuration."""
        return [source.offer for source in self.sources if source.offer is not None]

    def health(self) -> tuple[SourceHealth, ...]:
        """In the order of the configuration."""
        return tuple(source.health for source in self.sources)

    def has(self, sha: str) -> bool:
        """Whether the copy has it."""
        return self.repository.has(sha)

    def contains(self, newer: str, older: str) -> bool:
        """Whether `older` is an ancestor. History does not change, so each answer is asked for once."""
        if (newer, older) not in self._ancestors:
            if len(self._ancestors) > _KNOWN:
                self._ancestors.clear()
            self._ancestors[newer, older] = newer == older or self.repository.contains(newer, older)
        return self._ancestors[newer, older]

    def commit(self, sha: str, offer: Offer | None) -> Commit:
        """Author, subject and date."""
        if sha not in self._commits:
            if len(self._commits) > _KNOWN:
                self._commits.clear()
            made = self.repository.commits(sha, None)[0]
            self._commits[sha] = Commit(sha, made.author, made.email, made.subject, made.date)
        known = self._commits[sha]
        if offer is None:
            return known
        testing = sha == offer.testing != offer.sha
        return replace(known, source=offer.source, branch=offer.testing_ref if testing else offer.ref, testing=testing)

    def check(self, sha: str, last: str) -> str:
        """Signatures of everything since `last`."""
        since = last if last and self.has(last) else ""
        for source in self.sources:
            if source.tag and source.offer is not None and source.offer.sha == sha:
                return self.trust.check(sha, since, source.tag, source.offer.ref.removeprefix("refs/tags/"))
        return self.trust.check(sha, since)

    def show(self, checkout: Checkout, sha: str) -> None:
        """Write its files."""
        checkout.show(self.repository, sha)

    def keep(self, sha: str) -> None:
        """By a ref of ours."""
        self.repository.keep(sha, "applied")


@dataclass
class FolderOrigin:
    """A folder of this machine. Its content's digest stands for a commit; every one may follow every other."""

    config: AgentConfig
    clocks: Clocks
    _health: SourceHealth = field(init=False)
    _offer: Offer | None = None
    _quick: str = ""
    _moving: tuple[str, float] | None = None

    def __post_init__(self) -> None:
        """Nothing is looked at yet."""
        source = self.config.sources[0]
        self.folder = Path(source.path or "/")
        self._health = SourceHealth(source.name, str(self.folder))

    @property
    def name(self) -> str:
        """What `reconcile apply` on the same folder would record, so that both may prune."""
        return str((self.folder / self.config.folder).resolve())

    def open(self) -> None:
        """Nothing to do."""

    def refresh(self, *, now: bool) -> None:
        """Look whether anything changed; read all where it did, once nothing more has changed for a moment."""
        wall = self.clocks.wall()
        try:
            files = list(_plain(self.folder))
            quick = _summed(f"{path}\0{s.st_size} {s.st_mtime_ns} {s.st_ino} {s.st_mode}" for path, s in files)
            if self._offer is None or (quick != self._quick and self._rests(quick)):
                self._offer, self._quick = Offer(self._health.name, _content(self.folder, files), ""), quick
            if quick == self._quick:
                self._moving = None
        except OSError as error:
            detail = f"{self.folder}: {error.strerror or error}."
            hint = "Make the folder, or name another one: sources: [{path: DIR}]. The agent goes on looking."
            problem = Diagnostic("source-unreachable", "A source of specs did not answer", detail, hint)
            failures = self._health.failures + 1
            self._health = replace(self._health, last_try=wall, failures=failures, problem=problem)
            return
        self._health = replace(
            self._health, tip=self._offer.sha, last_try=wall, last_good=wall, failures=0, problem=None
        )

    def due(self) -> float | None:
        """Soon, while somebody writes."""
        return SETTLED if self._moving is not None else None

    def _rests(self, quick: str) -> bool:
        """Whether it has looked like this for a moment: who writes many files, or a large one, is not done at once."""
        if self._moving is None or self._moving[0] != quick:
            self._moving = (quick, self.clocks.ticks())
        return self.clocks.ticks() - self._moving[1] >= SETTLED

    def offers(self) -> list[Offer]:
        """The folder as it is."""
        return [self._offer] if self._offer is not None else []

    def health(self) -> tuple[SourceHealth, ...]:
        """One."""
        return (self._health,)

    def has(self, sha: str) -> bool:
        """Only what lies there now."""
        return self._offer is not None and self._offer.sha == sha

    def contains(self, newer: str, older: str) -> bool:
        """A folder has no history."""
        return True

    def commit(self, sha: str, offer: Offer | None) -> Commit:
        """Its digest, and where it lies."""
        return Commit(sha, subject=f"files of {self.folder}", source=self._health.name)

    def check(self, sha: str, last: str) -> str:
        """Nobody signs a folder."""
        return ""

    def show(self, checkout: Checkout, sha: str) -> None:
        """Copy it, so that what is in force stays while somebody edits. Raises FetchError."""
        if checkout.commit == sha and checkout.there:
            return
        checkout.commit = ""
        try:
            shutil.rmtree(checkout.folder, ignore_errors=True)
            (checkout.folder / ".git").mkdir(mode=0o700, parents=True)
            for path, _status in _plain(self.folder):
                place = checkout.folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.folder / path, place, follow_symlinks=False)
            copied = _content(checkout.folder, _plain(checkout.folder))
        except FileNotFoundError as error:
            raise FetchError(self._changed()) from error
        except OSError as error:
            raise unusable(checkout.folder, error) from error
        if copied != sha:
            raise FetchError(self._changed())
        checkout.commit = sha

    def _changed(self) -> Diagnostic:
        self._moving = self._moving or ("", self.clocks.ticks())
        detail = f"{self.folder}: somebody wrote there while it was copied."
        return Diagnostic("source-unreachable", "A source of specs did not answer", detail, "The agent looks again.")

    def keep(self, sha: str) -> None:
        """The copy is all there is."""


def _plain(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every plain file but git's own, by relative path, in order. Links are not followed. Raises OSError."""
    waiting, count, size = [""], 0, 0
    while waiting:
        at = waiting.pop()
        with os.scandir(folder / at) as entries:
            for entry in sorted(entries, key=lambda found: found.name):
                path = f"{at}/{entry.name}" if at else entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and entry.name != ".git":
                    waiting.append(path)
                elif stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE:
                    count, size = count + 1, size + status.st_size
                    if count > MAX_FILES or size > MAX_TOTAL:
                        raise OSError(f"it has more than {MAX_FILES} files or {MAX_TOTAL} bytes")
                    yield path, status


def _content(folder: Path, files: Iterable[tuple[str, os.stat_result]]) -> str:
    """The digest of these files: names, content, and whether they may be run."""
    return _summed(f"{path}\0{status.st_mode & 0o111:o} {_digest(folder / path)}" for path, status in files)


def _summed(lines: Iterator[str]) -> str:
    summed = hashlib.sha256()
    for line in lines:
        summed.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return summed.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_origin(
    config: AgentConfig, runner: Runner, clocks: Clocks, hostname: str, stop: Callable[[], bool] = lambda: False
) -> Origin:
    """The origin that a configuration names. Once `stop` says so, remotes are waited for no longer."""
    if config.sources[0].path is not None:
        return FolderOrigin(config, clocks)
    return GitOrigin(config, runner, clocks, f"testing-{hostname}" if config.testing else "", stop)
