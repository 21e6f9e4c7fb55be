"""What a running agent is doing, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.cli.show import visible


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """A line for what it does, and one for each thing that somebody should know."""
    commit = status.get("commit")
    at = f", at {_commit(commit)}" if commit else ", with no commit yet"
    yield visible(f"agent: {status['phase']}{at}{_next(status.get('next_wake'))}")
    if status.get("suspended"):
        yield visible(f"! agent: suspended: {status['suspended']}. reconcile resume --all")
    if refused := status.get("refused"):
        codes = ", ".join(dict.fromkeys(one["code"] for one in refused["diagnostics"]))
        yield visible(f"! agent: refuses {_commit(refused['commit'])}: {codes}")
        for one in refused["diagnostics"][:5]:
            yield visible(f"    {_place(one)}{one['detail'] or one['summary']}")
    if approval := status.get("approval"):
        sha = approval["commit"]["sha"][:12]
        yield visible(f"! agent: {_commit(approval['commit'])} waits{_until(approval)}: reconcile approve {sha}")
    for source in status.get("sources", ()):
        if source.get("problem"):
            yield visible(f"! agent: source {source['name']}: {source['problem']['detail']}")
    told = (refused or {}).get("diagnostics", [])
    for problem in [one for one in status.get("problems", ()) if one not in told][:5]:
        yield visible(f"! agent: {problem['code']}: {_place(problem)}{problem['detail'] or problem['summary']}")
    for problem in status.get("cautions", ()):
        yield visible(f"! agent: {problem['code']}: {problem['detail'] or problem['summary']}")
    for step in status.get("steps", ()):
        yield visible(f"  {step['scope'] or '(shared)'}: {step['title']} ...")


def _place(problem: Mapping[str, Any]) -> str:
    place = problem.get("span") or {}
    return f"{place['file']}:{place['line']}: " if place.get("file") else ""


def _commit(commit: Mapping[str, Any]) -> str:
    by = f" by {commit['author']}" if commit.get("author") else ""
    return f"{commit['sha'][:12]} {commit.get('subject', '')!r}{by}"


def _until(approval: Mapping[str, Any]) -> str:
    if approval.get("window"):
        return f" for the window at {_time(approval['window'])}"
    if approval.get("by_itself"):
        return f" until {_time(approval['by_itself'])}"
    return " for approval"


def _next(when: float | None) -> str:
    return f"; looks again at {_time(when)}" if when else ""


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
