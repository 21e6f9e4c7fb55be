"""One look of the engine at the host with one commit's specs, and carrying out what it finds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler import touched
from reconciler.agent.board import TAIL, Commit, Ended, Planned, Running
from reconciler.agent.config import AgentConfig
from reconciler.agent.telling import plain_document
from reconciler.agent.tools import Tools
from reconciler.guard import Consent
from reconciler.kinds.jail import Jail
from reconciler.losses import unseen
from reconciler.model.action import Step
from reconciler.model.diagnostic import Diagnostic, Refused
from reconciler.model.outcome import Report, Result
from reconciler.model.ports import Host, Observation, Request
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Options, Session
from reconciler.renderings import Renderings

Steps = Callable[[tuple[Running, ...]], None]
Seen = tuple[Request, Observation]


@dataclass(frozen=True)
class Asked:
    """What to look with: a commit's folder of specs, the jails that wait, and what the guard lets pass."""

    commit: Commit
    specs: Path
    waiting: Mapping[str, str] = field(default_factory=dict)
    consent: Consent = field(default_factory=Consent)

    @property
    def key(self) -> tuple[object, ...]:
        """What the answer depends on, beside the host."""
        return (self.commit.sha, str(self.specs), tuple(sorted(self.waiting)), self.consent)


@dataclass(frozen=True)
class Looked:
    """What a look found. Without a session the host is as it was when there was nothing to do."""

    session: Session | None
    decided: Decided | None
    jails: frozenset[str] | None = None
    """The jails that were looked at; None for all."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is to be done."""
        return self.decided.plan.steps if self.decided else ()

    @property
    def refusals(self) -> tuple[Diagnostic, ...]:
        """What the guard says against it."""
        return self.decided.refusals if self.decided else ()


@dataclass
class Turned:
    """What a turn came to. `again` asks for the next in so many seconds."""

    outcome: Ended
    problems: tuple[Diagnostic, ...] = ()
    report: Report | None = None
    again: float | None = None


@dataclass
class Rest:
    """A look that found nothing to do: what was asked, what the host was asked, and the digest of its answer."""

    key: tuple[object, ...]
    request: Request
    digest: str


@dataclass
class Engine:
    """Looks and applies. Remembers only what it needs to say "nothing changed" without thinking."""

    config: AgentConfig
    tools: Tools
    source: str
    wall: Callable[[], float]
    adopt: bool = False
    renderings: Renderings = field(default_factory=Renderings)
    memory: touched.Memory = field(default_factory=touched.Memory)
    _rest: Rest | None = None
    _plan: Rest | None = None
    _seen: Seen | None = None
    """What was just observed, by a look that had to leave the rest to another."""

    def look(self, host: Host, asked: Asked, *, download: bool = False) -> Looked:
        """Compare the host with a commit. Raises SpecError, Refused (`pool-waiting`), HostError.

        With `download` releases that are going to be fetched are looked into, so that the plan is the one to apply.
        """
        earlier = None
        if self._rest is not None and self._rest.key == asked.key:
            seen = host.observe(self._rest.request)
            if seen.digest == self._rest.digest:
                return Looked(None, None)
            earlier = (self._rest.request, seen)
        options = Options(
            asked.specs,
            self.config.labels,
            consent=asked.consent,
            adopt_source=self.adopt,
            waiting=asked.waiting,
            source=self.source,
        )
        looked = self._few(host, options, earlier) or self._all(host, options, earlier, download=download)
        session, decided = looked.session, looked.decided
        assert session is not None and decided is not None
        self._plan = Rest(asked.key, session.request, session.observation.digest)
        self._rest = self._plan if decided.plan.empty else None
        return looked

    def _few(self, host: Host, options: Options, earlier: Seen | None) -> Looked | None:
        """Look at what was touched since the fleet was at rest; None where that does not do."""
        resting, edited = self.memory.resting, touched.edits(self.memory, options)
        if resting is None or edited is None:
            return None
        if earlier is None or earlier[0] != resting.request:
            earlier = (resting.request, host.observe(resting.request))
        self._seen = earlier
        found = touched.look(self.memory, touched.Asked(host, options, edited, earlier[1], self.renderings))
        if found is None:
            return None
        self._seen = None
        return Looked(found.session, found.decided, found.jails)

    def _all(self, host: Host, options: Options, earlier: Seen | None, *, download: bool) -> Looked:
        """Look at everything."""
        earlier, self._seen = self._seen or earlier, None
        session = Session(host, options, self.tools.load(options.path), earlier, self.renderings)
        raw = session.observation  # before anything has it parsed, and lets go of it
        self._same_pool(session)
        decided = session.compare()
        if decided.plan.steps and not decided.refusals:
            session, decided = self.tools.settled(session, decided, download)
        self.memory.learn(session, decided, raw)
        self.renderings.keep(session.selected.jails)
        return Looked(session, decided)

    def moved(self, host: Host, asked: Asked) -> bool:
        """Whether the answer to a question may be another one than at the last look."""
        if self._plan is None or self._plan.key != asked.key:
            return True
        return host.observe(self._plan.request).digest != self._plan.digest

    def forget(self) -> None:
        """Think again at the next look, whatever the host shows."""
        self._rest = self._plan = None

    def apply(self, asked: Asked, looked: Looked, stop: threading.Event, told: Steps) -> tuple[Looked, Report | None]:
        """Carry out what was found, under the pool's lock; planned again where the host has moved meanwhile.

        Without a report there was nothing left to do, or the guard refused. Raises Refused (`locked`), HostError.
        """
        session = looked.session
        assert session is not None
        with self.tools.locked(session.host, session.document.pool):
            seen = session.host.observe(session.request)
            if seen.digest != session.observation.digest or looked.decided is None:
                self.forget()
                looked = self.look(session.host, asked, download=True)
            else:
                again = self.tools.settled(session, looked.decided, True)
                looked = Looked(*again)
            if looked.session is None or looked.decided is None or not looked.steps or looked.refusals:
                return looked, None
            session, decided = looked.session, looked.decided
            if unseen(session, decided.plan):
                with self.tools.site(session, stop, lambda _ref: lambda _data: None) as site:
                    decided = session.looked_into(decided, site)
            if decided.refusals:
                return replace(looked, decided=decided), None
            return looked, self._carry_out(asked.commit, session, decided, stop, told)

    def _carry_out(
        self, commit: Commit, session: Session, decided: Decided, stop: threading.Event, told: Steps
    ) -> Report:
        record = self.tools.record(commit, session.specs.digest)
        watch = Watching(record.step, told, self.wall)
        status = "failed"
        try:
            with self.tools.site(session, stop, watch.output) as site:
                report = session.apply(decided, site, self.config.jobs, watch.watch, stop)
            status = "done" if report.ok else "stopped" if stop.is_set() else "failed"
            return report
        finally:
            record.end(status)

    def _same_pool(self, session: Session) -> None:
        pool = session.document.pool
        if pool != self.config.pool:
            detail = f"The specs say {pool}, and the agent looks after {self.config.pool}."
            hint = f"Set `pool: {pool}` in the agent's configuration."
            raise Refused(Diagnostic("pool-differs", "The specs are for another pool", detail, hint))


class Watching:
    """The steps that are going on, told as they begin, print and end. The executor calls from several threads."""

    def __init__(self, ended: Callable[[Step, Result, bytes], None], told: Steps, wall: Callable[[], float]) -> None:
        """`ended` hears each end with the output's tail, `told` all that runs whenever that changes."""
        self._ended, self._told, self._wall = ended, told, wall
        self._guard = threading.RLock()
        self._running: dict[Ref, Running] = {}
        self._tails: dict[Ref, bytearray] = {}

    def watch(self, event: str, step: Step, result: Result | None) -> None:
        """The executor's events."""
        ref = step.action.ref
        with self._guard:
            if event == "begin":
                title = step.action.title()
                self._running[ref] = Running(step.number, str(ref), step.scope, title, self._wall())
            elif result is not None:
                self._running.pop(ref, None)
                self._ended(step, result, bytes(self._tails.pop(ref, b"")))
            self._told(tuple(self._running.values()))

    def output(self, ref: Ref) -> Callable[[bytes], None]:
        """Takes what a step's commands print."""

        def take(data: bytes) -> None:
            with self._guard:
                tail = self._tails.setdefault(ref, bytearray())
                tail += data
                del tail[:-TAIL]
                if ref in self._running:
                    text = tail.decode("utf-8", "replace")
                    self._running[ref] = replace(self._running[ref], tail=text)
                    self._told(tuple(self._running.values()))

        return take


def planned(commit: Commit, looked: Looked, tools: Tools, now: float, folder: Path) -> Planned:
    """A plan for the board; `folder` holds the commit's files."""
    if looked.session is None or looked.decided is None:
        return Planned(commit.sha, now)
    document = plain_document(tools.document(looked.session, looked.decided), folder)
    document.pop("basis", None)
    return Planned(commit.sha, now, *_counts(looked.steps), _interrupted(looked.steps), document)


def _counts(steps: Iterable[Step]) -> tuple[int, int, int]:
    made = [(step.action.before is None, step.action.after is None) for step in steps]
    return made.count((True, False)), made.count((False, False)), made.count((False, True))


def _interrupted(steps: Iterable[Step]) -> tuple[str, ...]:
    return tuple(sorted({s.scope for s in steps if s.action.interrupts or _stops(s)}))


def _stops(step: Step) -> bool:
    return isinstance(step.action.before, Jail) and step.action.after is None
