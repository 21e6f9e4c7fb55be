"""What there is to tell when the board changed: events worth a message. Pure: two statuses in, news out.

News are made from states, not from happenings: a status that was never seen in between is not missed but summed up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from reconciler.agent.board import Commit, Cycle, Jail, Status
from reconciler.model.diagnostic import Diagnostic

Event = Literal[
    "commit-applied",
    "commit-unchanged",
    "commit-failed",
    "commit-refused",
    "commit-pending",
    "approval-needed",
    "drift-corrected",
    "jail-stalled",
    "jail-held",
    "jail-recovered",
    "source-down",
    "source-up",
    "suspended",
    "resumed",
]
EVENTS: tuple[Event, ...] = get_args(Event)
Level = Literal["info", "warning", "error"]
PROBLEMS = 10
"""Diagnostics that one message carries at most."""


@dataclass(frozen=True, slots=True)
class News:
    """One message. `subject` is what it is about: later news of the same subject stand for earlier ones that were not
    sent yet. `facts` are JSON values."""

    event: Event
    level: Level
    subject: str
    text: str
    commit: str = ""
    jail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def news(before: Status, after: Status, reached: str = "") -> tuple[News, ...]:
    """What is worth telling of the change, causes first. `reached` is the commit that the host was brought to last
    where no cycle of `before` tells, such as by an agent before a restart."""
    found = [*_sources(before, after), *_suspended(before, after), *_refused(before, after), *_approval(before, after)]
    found += _pending(before, after, reached_by(after.cycles) or reached)
    found += _cycles(before, after, reached_by(before.cycles) or reached)
    return (*found, *_jails(before, after))


def _sources(before: Status, after: Status) -> Iterable[News]:
    was = {source.name: source.problem is not None for source in before.sources}
    for source in after.sources:
        down = source.problem is not None
        if source.problem is not None and not was.get(source.name, False):
            facts = {"source": source.name, "url": source.url, "problems": _problems([source.problem])}
            text = f"Source {source.name} does not answer; the host stays as the last good commit says."
            yield News("source-down", "warning", f"source/{source.name}", text, facts=facts)
        elif not down and was.get(source.name, False):
            facts = {"source": source.name, "url": source.url}
            yield News(
                "source-up", "info", f"source/{source.name}", f"Source {source.name} answers again.", facts=facts
            )


def _suspended(before: Status, after: Status) -> Iterable[News]:
    if after.suspended and after.suspended != before.suspended:
        text = f"Everything is suspended: {after.suspended}"
        yield News("suspended", "info", "agent", text, facts={"reason": after.suspended})
    elif before.suspended and not after.suspended:
        yield News("resumed", "info", "agent", "The agent goes on.")


def _refused(before: Status, after: Status) -> Iterable[News]:
    refusal = after.refused
    if refusal is None or (before.refused is not None and before.refused.commit.sha == refusal.commit.sha):
        return
    sha = refusal.commit.sha
    facts = {**_about(refusal.commit), "problems": _problems(refusal.diagnostics)}
    words = refusal.diagnostics[0].summary if refusal.diagnostics else "It may not be applied"
    text = f"Commit {sha[:10]} is refused: {words}. The host stays as it is."
    yield News("commit-refused", "error", f"commit/{sha}", text, sha, facts=facts)


def _approval(before: Status, after: Status) -> Iterable[News]:
    waiting = after.approval
    if waiting is None or (before.approval is not None and before.approval.commit.sha == waiting.commit.sha):
        return
    sha = waiting.commit.sha
    facts = {**_about(waiting.commit), "by_itself": waiting.by_itself, "window": waiting.window}
    text = f"Commit {sha[:10]} waits for approval: reconcile approve {sha[:10]}"
    yield News("approval-needed", "warning", f"commit/{sha}", text, sha, facts=facts)


def _pending(before: Status, after: Status, reached: str) -> Iterable[News]:
    """A commit that the host begins to converge to; not one that it goes back to after drift."""
    commit = after.commit
    if commit is None or after.phase != "applying" or commit.sha in ("", reached):
        return
    if before.phase == "applying" and before.commit is not None and before.commit.sha == commit.sha:
        return
    text = f"Commit {commit.sha[:10]} is being applied."
    yield News("commit-pending", "info", f"commit/{commit.sha}", text, commit.sha, facts=_about(commit))


def _cycles(before: Status, after: Status, reached: str) -> Iterable[News]:
    last = before.last.number if before.last else 0
    for cycle in sorted((c for c in after.cycles if c.number > last), key=lambda c: c.number):
        yield from _cycle(cycle, after, drift=cycle.commit == reached)
        if cycle.outcome in ("applied", "unchanged"):
            reached = cycle.commit


def _cycle(cycle: Cycle, after: Status, *, drift: bool) -> Iterable[News]:
    sha, done = cycle.commit, sum(cycle.counts.values())
    facts = {**_known(after, sha), "counts": dict(cycle.counts), "problems": _problems(cycle.problems)}
    subject, steps = f"commit/{sha}", f"{done} step{'' if done == 1 else 's'}"
    match cycle.outcome:
        case "applied" if drift:
            text = f"What had drifted from commit {sha[:10]} was corrected in {steps}."
            yield News("drift-corrected", "info", "drift", text, sha, facts=facts)
        case "applied":
            yield News(
                "commit-applied", "info", subject, f"Commit {sha[:10]} was applied in {steps}.", sha, facts=facts
            )
        case "unchanged" if not drift and sha:
            text = f"Commit {sha[:10]} changes nothing on this host."
            yield News("commit-unchanged", "info", subject, text, sha, facts=facts)
        case "failed":
            words = cycle.problems[0].detail or cycle.problems[0].summary if cycle.problems else "some steps failed"
            yield News("commit-failed", "error", subject, f"Commit {sha[:10]} failed: {words}", sha, facts=facts)


def reached_by(cycles: Iterable[Cycle]) -> str:
    """The commit that the host was brought to last, of cycles that begin with the latest; "" where none did."""
    return next((cycle.commit for cycle in cycles if cycle.outcome in ("applied", "unchanged")), "")


def _jails(before: Status, after: Status) -> Iterable[News]:
    was = {jail.name: jail for jail in before.jails}
    for jail in after.jails:
        old = was.get(jail.name)
        if old is not None and old.condition == jail.condition:
            continue
        if jail.condition == "Stalled":
            text = f"Jail {jail.name} cannot be converged: {jail.reason or 'see its page'}"
            yield _jail("jail-stalled", "error", jail, text)
        elif jail.condition == "Held":
            yield _jail("jail-held", "warning", jail, f"Jail {jail.name} is held back: {jail.reason or 'see its page'}")
        elif jail.condition == "Ready" and old is not None and old.condition in ("Stalled", "Held"):
            yield _jail("jail-recovered", "info", jail, f"Jail {jail.name} is as its spec says again.")


def _jail(event: Event, level: Level, jail: Jail, text: str) -> News:
    facts = {"declared": jail.declared, "observed": jail.observed, "reason": jail.reason, "failures": jail.failures}
    return News(event, level, f"jail/{jail.name}", text, jail=jail.name, facts=facts)


def _about(commit: Commit) -> dict[str, Any]:
    return {"author": commit.author, "subject": commit.subject, "branch": commit.branch, "date": commit.date}


def _known(status: Status, sha: str) -> dict[str, Any]:
    return _about(status.commit) if status.commit is not None and status.commit.sha == sha else {}


def _problems(problems: Iterable[Diagnostic]) -> list[dict[str, str]]:
    every = list(problems)[:PROBLEMS]
    return [
        {"code": p.code, "summary": p.summary, "detail": p.detail, "hint": p.hint, "place": str(p.span or "")}
        for p in every
    ]


def documented(one: News, host: str, at: float) -> dict[str, Any]:
    """The message as JSON, format 1: what a URL and a command are given."""
    return {
        "version": 1,
        "event": one.event,
        "level": one.level,
        "host": host,
        "at": at,
        "text": one.text,
        "commit": one.commit,
        "jail": one.jail,
        "facts": dict(one.facts),
    }
