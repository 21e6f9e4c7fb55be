"""What a monitor reads at /metrics, and the one door to prometheus-client.

Names follow Prometheus' "Metric and label naming": a prefix, the base unit as a suffix, `_total` on what only
grows, `_info` on facts. What can be read from the board is read when somebody asks; what has to be counted is
counted as the board changes. Labels have few values, but for `jail`, which stops at SERIES jails.
"""

from __future__ import annotations

import resource
import sys
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from reconciler.agent.board import Board, Condition, Cycle, Phase, Status
from reconciler.agent.page_view import Release
from reconciler.agent.web import Answer, Ask

SERIES = 1000
"""Jails that have series of their own; beyond, `reconciler_jails` still counts all."""
KIND = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0)
_OK = ("unchanged", "applied")


class Metrics:
    """Everything counted for one agent, in a registry of its own. Threads share it."""

    def __init__(self, board: Board, releases: Callable[[Status], Sequence[Release]] = lambda _: ()) -> None:
        """Count what `board` shows from now on; `releases` says until when its releases are supported."""
        self._board = board
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for each, which nobody reads
        self.registry = CollectorRegistry(auto_describe=False)
        self._lock = threading.Lock()
        self._seen = board.now()
        counter = self._counter
        self._cycles = counter("reconciler_cycles", "Turns of the loop that ended, by outcome.", "outcome")
        self._steps = counter("reconciler_steps", "Steps of plans, by outcome.", "outcome")
        self._fetches = counter(
            "reconciler_fetches", "Looks at a source, by outcome: done or failed.", "source", "outcome"
        )
        self._requests = counter("reconciler_http_requests", "HTTP requests, by route and status.", "route", "code")
        self._hooks = counter("reconciler_webhooks", "Webhooks, by outcome: accepted or refused.", "outcome")
        self._news = counter("reconciler_notifications", "Notifications, by target and outcome.", "target", "outcome")
        text = "How long a turn of the loop took."
        self._seconds = Histogram("reconciler_cycle_duration_seconds", text, registry=self.registry, buckets=SECONDS)
        text = "When a turn of the loop last ended well, since 1970; 0 before the first."
        self._good = Gauge("reconciler_last_success_timestamp_seconds", text, registry=self.registry)
        self._good.set(next((cycle.ended for cycle in self._seen.cycles if cycle.outcome in _OK), 0.0))
        self.registry.register(_Board(board, releases))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def follow(self, status: Status) -> None:
        """Count what is new on the board since the last call."""
        with self._lock:
            before, self._seen = self._seen, status
        fresh: list[Cycle] = [
            cycle for cycle in status.cycles if cycle.number > (before.last.number if before.last else 0)
        ]
        for cycle in reversed(fresh):
            if cycle.outcome in _OK:
                self._good.set(cycle.ended)
            self._cycles.labels(cycle.outcome).inc()
            self._seconds.observe(max(0.0, cycle.seconds))
            for outcome, count in cycle.counts.items():
                self._steps.labels(outcome).inc(count)
        tried = {source.name: source.last_try for source in before.sources}
        for source in status.sources:
            if source.last_try is not None and source.last_try != tried.get(source.name):
                self._fetches.labels(source.name, "failed" if source.problem else "done").inc()

    def request(self, route: str, code: int) -> None:
        """Count one HTTP request."""
        self._requests.labels(route, str(code)).inc()

    def webhook(self, accepted: bool) -> None:
        """Count one webhook."""
        self._hooks.labels("accepted" if accepted else "refused").inc()

    def notification(self, target: int, outcome: str) -> None:
        """Count one notification that was sent, failed or was dropped."""
        self._news.labels(str(target), outcome).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        self.follow(self._board.now())
        return generate_latest(self.registry)

    def answer(self, _ask: Ask) -> Answer:
        """GET /metrics."""
        return Answer(200, self.text(), KIND)


Families = Iterator[GaugeMetricFamily | InfoMetricFamily]


class _Board(Collector):
    """What is read from the board at the moment somebody asks."""

    def __init__(self, board: Board, releases: Callable[[Status], Sequence[Release]]) -> None:
        self._board, self._releases = board, releases

    def collect(self) -> Iterable[Any]:
        status = self._board.now()
        yield from _agent(status)
        yield from _loop(status)
        yield from _commit(status)
        yield from _plan(status)
        yield from _jails(status)
        yield from _sources(status)
        yield from _supported(self._releases(status))


def _gauge(name: str, text: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"reconciler_{name}", text, value=value)


def _labelled(
    name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"reconciler_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _agent(status: Status) -> Families:
    yield InfoMetricFamily("reconciler_build", "The version that runs.", {"version": status.version})
    yield _gauge("start_time_seconds", "When the agent started, since 1970.", status.started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield _gauge(
        "peak_resident_memory_bytes", "The most memory it ever held.", peak * (1 if sys.platform == "darwin" else 1024)
    )
    yield _gauge("threads", "Threads of the agent.", threading.active_count())


def _loop(status: Status) -> Families:
    phases = ((("phase", phase), float(phase == status.phase)) for phase in get_args(Phase))
    yield _labelled(
        "phase", "1 for the phase that the loop is in, 0 for others.", ["phase"], (((p[1],), v) for p, v in phases)
    )
    yield _gauge("suspended", "1 while everything is suspended.", float(bool(status.suspended)))
    errors = sum(problem.severity == "error" for problem in status.problems)
    yield _gauge("problems", "Errors that the last turn of the loop reported; remarks are not counted.", errors)
    text = "Warnings about the configuration, such as one that a reload did not take."
    yield _gauge("cautions", text, len(status.cautions))
    text = "When the last turn of the loop ended, since 1970; 0 before the first."
    yield _gauge("last_cycle_timestamp_seconds", text, status.last.ended if status.last else 0.0)


def _commit(status: Status) -> Families:
    commit = status.commit
    rows = [((commit.sha, commit.branch), 1.0)] if commit else []
    yield _labelled("commit_info", "The commit that the host converges to.", ["commit", "branch"], rows)
    yield _gauge("commit_timestamp_seconds", "That commit's date, since 1970.", commit.date if commit else 0.0)
    yield _gauge("applied_timestamp_seconds", "When a commit was last applied, since 1970.", status.applied or 0.0)
    yield _gauge("commit_refused", "1 while the newest commit is refused.", float(status.refused is not None))
    yield _gauge("approval_pending", "1 while a commit waits for approval.", float(status.approval is not None))


def _plan(status: Status) -> Families:
    plan = status.plan
    counts = (plan.create, plan.change, plan.remove) if plan else (0, 0, 0)
    rows = (((name,), float(count)) for name, count in zip(("create", "change", "remove"), counts, strict=True))
    yield _labelled("plan_steps", "Steps of the latest plan.", ["operation"], rows)
    yield _gauge(
        "plan_interrupted_jails", "Running jails that the latest plan stops.", len(plan.interrupted) if plan else 0
    )
    yield _gauge("running_steps", "Steps that are being done.", len(status.steps))


def _jails(status: Status) -> Families:
    counted = Tally(jail.condition for jail in status.jails)
    rows = (((name,), float(counted[name])) for name in get_args(Condition))
    yield _labelled("jails", "Jails, by condition.", ["condition"], rows)
    shown = status.jails[:SERIES]
    yield _gauge(
        "jails_without_series", "Jails beyond those that have series of their own.", len(status.jails) - len(shown)
    )
    yield _labelled("jail_ready", "1 when the jail is as its spec says.", ["jail"],
                    (((jail.name,), float(jail.condition == "Ready")) for jail in shown))  # fmt: skip
    yield _labelled("jail_info", "What is declared and observed of a jail.",
                    ["jail", "condition", "declared", "observed", "release"],
                    (((j.name, j.condition, j.declared, j.observed, j.release), 1.0) for j in shown))  # fmt: skip
    yield _labelled("jail_failures", "Failures in a row of a jail.", ["jail"],
                    (((jail.name,), float(jail.failures)) for jail in shown))  # fmt: skip


def _sources(status: Status) -> Families:
    yield _labelled("source_up", "1 when the source answered the last time.", ["source"],
                    (((s.name,), float(s.healthy)) for s in status.sources))  # fmt: skip
    yield _labelled("source_last_success_timestamp_seconds", "When the source last answered, since 1970; 0 if never.",
                    ["source"], (((s.name,), s.last_good or 0.0) for s in status.sources))  # fmt: skip


def _supported(releases: Sequence[Release]) -> Families:
    states = {"supported": 1.0, "eol": 0.0, "unknown": -1.0}
    yield _labelled("release_supported", "1 while a release is supported, 0 after its end of life, -1 when unknown.",
                    ["release"], (((r.name,), states[r.state]) for r in releases))  # fmt: skip
    yield _labelled("release_jails_behind", "Jails whose specs pin an older patch level than the newest known.",
                    ["release"], (((r.name,), float(len(r.behind))) for r in releases))  # fmt: skip
    yield _labelled("release_jails", "Jails that stand on a release.", ["release"],
                    (((r.name,), float(len(r.jails))) for r in releases))  # fmt: skip
