"""The loop: every wake-up is the whole flow on the newest commit that may be applied.

Level-triggered: a turn asks where the sources and the host are, never what happened. What a turn leaves in memory
(failures, what it saw of a host at rest, how long a commit has waited) may be lost at any point; the next turn
begins again from the sources, the pool and the host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from reconciler.agent.approval import Gate, gate
from reconciler.agent.board import HISTORY, Approval, Board, Commit, Cycle, Phase, Refusal, Status
from reconciler.agent.choose import Choice, choose, newest_below
from reconciler.agent.config import AgentConfig
from reconciler.agent.due import HANGS, until_next
from reconciler.agent.jails import SHARED, Failures, conditions
from reconciler.agent.orders import COMMIT, SUSPENDED, Orders, load_orders
from reconciler.agent.origin import Origin
from reconciler.agent.sources import Clocks
from reconciler.agent.telling import mistake, plain, pool_moved, refused_by_machine, there
from reconciler.agent.tools import Tools
from reconciler.agent.tree import Checkout
from reconciler.agent.turn import Asked, Engine, Looked, Turned, planned
from reconciler.agent.waited import Waited
from reconciler.agent.windows import is_open, local_time
from reconciler.model.diagnostic import Diagnostic, FetchError, HostError, ReconcilerError, Refused, SpecError
from reconciler.model.ports import Host
from reconciler.renderings import Renderings
from reconciler.touched import Memory

_SOON = 5.0
_BAD = 100
Told = Callable[[Status], None]


@dataclass
class InForce:
    """The commit that the host converges to, and the folder that holds it."""

    commit: Commit
    checkout: Checkout


@dataclass
class Agent:
    """One agent for one pool. `cycle` does one turn and says when the next is due; nothing else waits."""

    config: AgentConfig
    tools: Tools
    origin: Origin
    clocks: Clocks
    board: Board
    stop: threading.Event
    told: Told = lambda _status: None
    local: Callable[[float], datetime] = datetime.fromtimestamp
    adopt: bool = False
    current: InForce | None = None
    last: str = ""
    _host: Host | None = None
    _number: int = 0
    _looked: Looked | None = None
    _bad: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict)
    first_seen: dict[str, str] = field(default_factory=dict)
    _marks: dict[str, str] = field(default_factory=dict)
    _pending: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        """Two folders take turns; nothing is trusted that an earlier agent left in them."""
        trees, config = Path(self.config.state) / "trees", self.config
        self.slots = (Checkout(trees / "a"), Checkout(trees / "b"))
        self.failures = Failures(config.backoff, config.backoff_max)
        self.waited = Waited(Path(config.state), self.clocks.ticks)
        self._number = self.board.now().cycle
        asked = (config, self.tools, self.origin.name, self.clocks.wall, self.adopt, Renderings(), Memory())
        self.local = local_time(config.windows.zone) if config.windows.zone else self.local
        self.engine, self.candidates = Engine(*asked), Engine(*asked)

    def cycle(self, why: tuple[str, ...] = ()) -> float:
        """One turn; answers in how many seconds the next is due. Never raises for what the world can cause."""
        began = self.clocks.ticks()
        self._number += 1
        self.say(cycle=self._number, why=why)
        try:
            turned = self._turn(why)
        except ReconcilerError as error:
            turned = self._trouble(error)
        except OSError as error:
            turned = Turned("failed", (refused_by_machine(error),))
        except Exception as error:  # a mistake of ours must not end a service that runs for months
            turned = Turned("failed", (mistake(error),))
        return self._end(turned, began, why)

    def say(self, **changes: object) -> None:
        """Put something on the board, and tell who publishes it."""
        self.told(self.board.update(**changes))

    def _phase(self, phase: Phase, within: float | None = HANGS, **more: object) -> None:
        overdue = self.clocks.ticks() + within if within is not None else None
        self.say(phase=phase, phase_since=self.clocks.wall(), overdue=overdue, **more)

    # --- one turn

    def _turn(self, why: tuple[str, ...]) -> Turned:
        Path(self.config.state).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._host is None:
            self._host = self.tools.host()
            self.origin.open()
        host = self._host
        self._marks = dict(host.datasets.local(self.config.pool, (COMMIT, SUSPENDED)))
        self.last, suspended = self._marks.get(COMMIT, ""), self._marks.get(SUSPENDED, "")
        orders = load_orders(Path(self.config.state))
        self.say(suspended=suspended)
        self._phase("fetching")
        try:
            self.origin.refresh(now=bool(why))
            self.say(sources=self.origin.health())
            problems = self._follow(host, orders, suspended)
        except FetchError as error:  # our own copy; what is in force stays in force
            problems = error.diagnostics
        if self.current is None:
            return Turned("refused" if self.board.now().refused else "waiting", problems)
        turned = self._converge(host, orders, suspended)
        left_out = self.current.checkout.warnings()
        return replace(turned, problems=(*problems, *left_out, *turned.problems))

    def _follow(self, host: Host, orders: Orders, suspended: str) -> tuple[Diagnostic, ...]:
        """See whether there is a commit to go on to, and go where nothing speaks against it."""
        choice = self._choose(orders)
        self._doubt()
        doubts = self._restore() if choice.sha != self.last else ()
        if choice.refused is not None:
            return self._refuse(self.board.now().tip or Commit(""), (choice.refused,))
        if not choice.sha:
            return (*doubts, *(one.problem for one in self.origin.health() if one.problem is not None))
        commit = self.origin.commit(choice.sha, choice.offer)
        self.say(tip=commit)
        if not self._gate(commit.sha, orders, suspended).open and not choice.testing:
            known = [sha for sha in orders.approved if self.origin.has(sha)]
            if below := newest_below(choice.sha, self.last, known, self.origin.contains):
                commit = self.origin.commit(below, choice.offer)
        try:
            commit = self._verified(commit, orders)
        except FetchError as error:
            return self._refuse(commit, error.diagnostics)
        if self.current is not None and self.current.commit.sha == commit.sha:
            self.say(refused=None, approval=None)
            return ()
        return self._consider(host, commit, orders, suspended)

    def _choose(self, orders: Orders) -> Choice:
        offers = self.origin.offers()
        for offer in offers:
            self.first_seen.setdefault(offer.source, offer.testing)
        forced = next((offer for offer in offers if orders.rewritten(offer.sha)), None)
        if forced is not None and self.last and not self.origin.contains(forced.sha, self.last):
            return Choice(forced.sha, forced)
        if offers:
            self.say(tip=self.origin.commit(offers[0].sha, offers[0]))
        return choose(self.last, offers, self.origin.contains, frozenset(filter(None, self.first_seen.values())))

    def _verified(self, commit: Commit, orders: Orders, since: str = "") -> Commit:
        """The commit with its signer; it and all that came after `since` have to verify. Raises FetchError."""
        if self.config.trust.verify == "none":
            return commit
        self._phase("verifying")
        last = "" if orders.rewritten(commit.sha) else since or self.last
        return replace(commit, verified=self.origin.check(commit.sha, last))

    def _doubt(self) -> None:
        """Let go of the commit in force when its key was taken away: then nothing is enforced until another is good."""
        if self.current is not None and not self.current.checkout.there:
            self.current = None
        if self.current is not None:
            try:
                self._verified(self.current.commit, Orders(), since=self.current.commit.sha)
            except FetchError:
                self.current = None

    def _restore(self) -> tuple[Diagnostic, ...]:
        """After a start without a usable offer: go on with what was applied last, where it is still here."""
        if self.current is not None or not self.last or not self.origin.has(self.last):
            return ()
        try:
            commit = self._verified(self.origin.commit(self.last, None), Orders(), since=self.last)
            self.origin.show(self.slots[0], commit.sha)
            self._take(InForce(commit, self.slots[0]))
        except FetchError as error:
            return error.diagnostics
        return ()

    def _consider(self, host: Host, commit: Commit, orders: Orders, suspended: str) -> tuple[Diagnostic, ...]:
        """Look at another commit beside the one in force; take it when specs, guard and approval let it pass."""
        sha = commit.sha
        if sha in self._bad:
            return self._refuse(commit, self._bad[sha])
        spare = self.slots[0] if self.current is None or self.current.checkout is self.slots[1] else self.slots[1]
        try:
            self.origin.show(spare, sha)
        except FetchError as error:
            return self._refuse(commit, error.diagnostics)
        self._phase("planning")
        asked = Asked(commit, self._specs(spare), consent=orders.consent(sha))
        try:
            there(spare.folder, self.config.folder, commit.sha)
            gated = self._gate(sha, orders, suspended)
            if not gated.open:
                return self._await(host, asked, gated, spare)
            looked = self.candidates.look(host, asked)
        except SpecError as error:
            found = plain(error.diagnostics, spare.folder)
            if len(self._bad) >= _BAD:
                del self._bad[next(iter(self._bad))]
            self._bad[sha] = found
            return self._refuse(commit, found)
        if looked.refusals:
            return self._refuse(commit, plain(looked.refusals, spare.folder))
        self._unmoved(host)
        self._take(InForce(commit, spare))
        self._looked = looked if looked.session is not None else None
        self.engine, self.candidates = self.candidates, self.engine
        self._mark(host)
        return ()

    def _gate(self, sha: str, orders: Orders, suspended: str) -> Gate:
        """Whether a commit may be taken now. The one that was applied last may: somebody approved it before."""
        waited = self.waited.seconds(sha)
        if suspended and sha != self.last:
            return Gate(open=False, why=f"the agent is suspended: {suspended}")
        if sha == self.last:
            return Gate(open=True)
        local = self.local(self.clocks.wall())
        return gate(self.config.approval, self.config.windows, sha, orders.approved.keys(), waited, local)

    def _await(self, host: Host, asked: Asked, gated: Gate, spare: Checkout) -> tuple[Diagnostic, ...]:
        """Show what waits: its plan is made, and nothing of it is done."""
        wall, commit = self.clocks.wall(), asked.commit
        before = self.board.now()
        if not self._pending or self.candidates.moved(host, asked):
            looked = self.candidates.look(host, asked)
            self._pending = asked.key
            if looked.refusals:
                return self._refuse(commit, plain(looked.refusals, spare.folder))
            self.say(plan=planned(commit, looked, self.tools, wall, spare.folder))
        waited = self.waited.keep(commit.sha)
        same = before.approval is not None and before.approval.commit.sha == commit.sha
        since = before.approval.since if before.approval is not None and same else wall - waited
        by_itself = wall + gated.seconds if gated.seconds is not None and gated.window is None else None
        window = wall + (gated.seconds or 0.0) if gated.window is not None else None
        self._phase(
            "awaiting-approval", approval=Approval(commit, since, by_itself, window, str(asked.specs)), refused=None
        )
        return ()

    def _refuse(self, commit: Commit, found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
        before = self.board.now().refused
        since = before.since if before is not None and before.commit.sha == commit.sha else self.clocks.wall()
        self.say(refused=Refusal(commit, found, since), approval=None)
        return found

    def _take(self, taken: InForce) -> None:
        """From here on the host converges to this commit."""
        self.current, self._looked, self._pending = taken, None, ()
        self.waited.forget(taken.commit.sha)
        self.failures.reset(self.clocks.ticks())
        self.engine.forget()
        where = {"specs": str(self._specs(taken.checkout)), "origin": self.origin.name}
        self.say(commit=taken.commit, refused=None, approval=None, applied=self.clocks.wall(), **where)

    def _mark(self, host: Host) -> None:
        """Keep in the pool what was applied last; a testing commit leaves no trace there."""
        if self.current is None or self.current.commit.testing or self.current.commit.sha == self.last:
            return
        sha = self.current.commit.sha
        try:
            host.datasets.set(self.config.pool, {COMMIT: sha})
        except HostError as error:
            if error.diagnostics[0].code != "dataset-missing":
                raise
            return
        self.last = self._marks[COMMIT] = sha
        self.origin.keep(sha)

    def _unmoved(self, host: Host) -> None:
        """See that the pool says what it said before: it may have come or been suspended meanwhile. Raises Refused."""
        if dict(host.datasets.local(self.config.pool, (COMMIT, SUSPENDED))) != self._marks:
            raise Refused(pool_moved(self.config.pool))

    # --- making the host as the commit in force says

    def _converge(self, host: Host, orders: Orders, suspended: str) -> Turned:
        assert self.current is not None
        folder = self.current.checkout.folder
        waiting = self.failures.waiting(self.clocks.ticks())
        commit = self.current.commit
        asked = Asked(commit, self._specs(self.current.checkout), waiting, orders.consent(commit.sha))
        looked, fresh = self._looked, self._looked is not None
        self._looked = None
        if looked is None or waiting:
            self._phase("planning")
            looked = self.engine.look(host, asked)
        self._show(looked)
        if looked.refusals:
            return Turned("refused", plain(looked.refusals, folder))
        if not looked.steps:
            self._mark(host)
            return Turned("unchanged")
        if suspended:
            return Turned("suspended")
        late = self.config.windows.drift == "windows" and not fresh
        if late and not is_open(self.config.windows, self.local(self.clocks.wall())):
            return Turned("waiting")
        return self._apply(host, asked, looked)

    def _apply(self, host: Host, asked: Asked, looked: Looked) -> Turned:
        assert self.current is not None
        self._unmoved(host)
        self._phase("applying", within=None)
        try:
            looked, report = self.engine.apply(asked, looked, self.stop, lambda steps: self.say(steps=steps))
        finally:
            self.say(steps=())
        if report is None:
            self._show(looked)
            return Turned("refused" if looked.refusals else "unchanged", looked.refusals)
        ticks, wall = self.clocks.ticks(), self.clocks.wall()
        self.failures.learn(report, ticks, wall, self.clocks.chance())
        self._mark(host)
        self.engine.forget()
        after = self.engine.look(host, replace(asked, waiting=self.failures.waiting(ticks)))
        self._show(after)
        problems = [p for result in report.failed if result.outcome != "blocked" for p in result.diagnostics]
        found = plain(problems, self.current.checkout.folder)
        again = _SOON if after.steps and report.ok else None
        return Turned("applied" if report.ok else "failed", found, report, again)

    def _show(self, looked: Looked) -> None:
        """Put the plan and the jails on the board."""
        if looked.session is None or looked.decided is None or self.current is None:
            return
        wall, before = self.clocks.wall(), {jail.name: jail for jail in self.board.now().jails}
        ticks = self.clocks.ticks()
        self.failures.settle(frozenset({step.scope for step in looked.steps}), ticks)
        known = conditions(looked.session, looked.decided, self.failures, self.config.stalled_after, before, wall)
        if looked.jails is not None:  # the others are as they were
            merged = {**before, **{jail.name: jail for jail in known}}
            known = tuple(merged[name] for name in sorted(merged))
        plan = planned(self.current.commit, looked, self.tools, wall, self.current.checkout.folder)
        if self.board.now().approval is None:
            self.say(plan=plan)
        self.say(jails=known)

    # --- the end of a turn

    def _trouble(self, error: ReconcilerError) -> Turned:
        """What kept a turn from its end."""
        folder = self.current.checkout.folder if self.current is not None else self.slots[0].folder
        codes = {problem.code for problem in error.diagnostics}
        if isinstance(error, Refused) and codes & {"locked", "pool-waiting"}:
            return Turned("waiting", error.diagnostics, again=_SOON if "locked" in codes else None)
        return Turned("failed", plain(error.diagnostics, folder))

    def _end(self, turned: Turned, began: float, why: tuple[str, ...]) -> float:
        wall, began = self.clocks.wall(), self.clocks.wall() - (self.clocks.ticks() - began)
        counts: dict[str, int] = {}
        for result in turned.report.results.values() if turned.report else ():
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
        sha = self.current.commit.sha if self.current is not None else ""
        cycle = Cycle(self._number, began, wall, turned.outcome, sha, why, counts, turned.problems)
        wait = self._until_next(turned)
        before = self.board.now()
        phase: Phase = "stalled" if turned.outcome in ("failed", "refused") or before.refused else "waiting"
        if before.approval is not None:
            phase = "awaiting-approval"
        if before.suspended:
            phase = "suspended"
        self._phase(
            phase,
            within=wait + HANGS,
            cycles=(cycle, *before.cycles[: HISTORY - 1]),
            problems=turned.problems,
            sources=self.origin.health(),
            next_wake=wall + wait,
        )
        return wait

    def _until_next(self, turned: Turned) -> float:
        failing = self.failures.next_due(self.clocks.ticks())
        shared = failing if SHARED in self.failures.found else None
        usual = self.config.interval + self.config.jitter * self.clocks.chance()
        return until_next(
            usual, (turned.again, failing, self.origin.due()), shared, self.board.now().approval, self.clocks.wall()
        )

    def _specs(self, checkout: Checkout) -> Path:
        return checkout.folder / self.config.folder if self.config.folder else checkout.folder
