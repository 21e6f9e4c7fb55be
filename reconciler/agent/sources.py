"""The sources: what each offers now, how it is, and when it is asked again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from reconciler.agent.backoff import wait_after
from reconciler.agent.board import SourceHealth
from reconciler.agent.choose import Offer
from reconciler.agent.config import AgentConfig, SourceConfig
from reconciler.agent.git import Repository
from reconciler.agent.remote import plain_url
from reconciler.model.diagnostic import Diagnostic, ReconcilerError


@dataclass(frozen=True)
class Clocks:
    """`wall` gives seconds since 1970 and may jump; `ticks` only ever grows. `chance` gives 0 to 1."""

    wall: Callable[[], float]
    ticks: Callable[[], float]
    chance: Callable[[], float]


@dataclass
class GitSource:
    """One remote, with what it said last."""

    config: SourceConfig
    repository: Repository
    settings: AgentConfig
    clocks: Clocks
    testing: str = ""
    health: SourceHealth = field(init=False)
    offer: Offer | None = None
    tag: str = ""
    _due: float = 0.0

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        config = self.config
        self.health = SourceHealth(config.name, plain_url(config.url or ""), config.tag or config.branch)

    @property
    def due(self) -> float | None:
        """In how many seconds it is asked again after a failure; None where it answered."""
        return self._due - self.clocks.ticks() if self.health.problem is not None else None

    def refresh(self, *, now: bool = False) -> None:
        """Ask the remote, unless it failed lately and it is not time yet; with `now` whatever was before."""
        if self.clocks.ticks() < self._due and not now:
            return
        wall = self.clocks.wall()
        try:
            self.offer = self._ask()
        except ReconcilerError as error:
            failures = self.health.failures + 1
            wait = wait_after(failures, self.settings.backoff, self.settings.backoff_max, self.clocks.chance())
            self._due = self.clocks.ticks() + wait
            problem = error.diagnostics[0]
            self.health = replace(self.health, last_try=wall, failures=failures, next_try=wall + wait, problem=problem)
            return
        self._due = 0.0
        tip = self.offer.sha
        self.health = replace(
            self.health, tip=tip, last_try=wall, last_good=wall, failures=0, next_try=None, problem=None
        )

    def _ask(self) -> Offer:
        """What the remote has; fetched where it is new. Raises FetchError."""
        branch, tag = f"refs/heads/{self.config.branch}", self.config.tag
        testing = f"refs/heads/{self.testing}" if self.testing else ""
        main = f"refs/tags/{tag}" if tag else branch
        asked = [main, *([f"{main}^{{}}"] if tag else []), *([testing] if testing else [])]
        tips = self.repository.tips(self.config, asked)
        ref = newest_tag(tips, tag) if tag else branch
        if ref is None or ref not in tips:
            raise ReconcilerError(_missing(self.config))
        local = f"refs/reconciler/{self.config.name}"
        wanted = {ref: f"{local}/main"} | ({testing: f"{local}/testing"} if testing in tips else {})
        sha = tips.get(f"{ref}^{{}}", tips[ref])
        if not all(self.repository.has(tips[name]) for name in wanted):
            self.repository.fetch(self.config, wanted)
            self.repository.tidy()
        if not self.repository.has(sha):  # it moved between the question and the answer
            raise ReconcilerError(_moved(self.config))
        self.tag = f"{local}/main" if tag else ""
        return Offer(self.config.name, sha, ref.removeprefix("refs/heads/"), tips.get(testing, ""), self.testing)


def newest_tag(refs: Sequence[str] | dict[str, str], pattern: str) -> str | None:
    """The highest version among tags of a pattern: numbers count as numbers, and a release beats its candidates."""
    names = [ref for ref in refs if fnmatchcase(ref, f"refs/tags/{pattern}") and not ref.endswith("^{}")]
    return max(names, key=_version, default=None)


def _version(ref: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which 1.10 follows 1.9, and 1.0 follows 1.0-rc1."""
    name = ref.removeprefix("refs/tags/")
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    # The end of a name stands between a pre-release's dash and the next number's dot.
    key = [(2, int(part), "") if part.isdigit() else (0 if part[0] in "-~" else 3, 0, part) for part in parts]
    return (*key, (1, 0, ""))


def _missing(config: SourceConfig) -> Diagnostic:
    what = f"tag {config.tag}" if config.tag else f"branch {config.branch}"
    detail = f"{config.name} ({plain_url(config.url or '')}) has no {what}."
    return Diagnostic("branch-missing", "A source does not have what is followed", detail, "git ls-remote")


def _moved(config: SourceConfig) -> Diagnostic:
    detail = f"{config.name}: its branch moved while it was fetched."
    return Diagnostic("source-unreachable", "A source of specs did not answer", detail, "The agent tries again.")
