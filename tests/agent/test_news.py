"""What is told of a change, and that it is told once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent.board import Approval, Cycle, Jail, Refusal, SourceHealth, Status
from reconciler.agent.news import EVENTS, documented, news
from reconciler.model.diagnostic import Diagnostic
from tests.agent import boards

TOP = Path(__file__).parents[2]
CALM = replace(boards.calm(), cycles=(Cycle(1, 0.0, 1.0, "applied", boards.GOOD),))
GOOD, TIP = boards.commit(), boards.commit(boards.TIP)
PROBLEM = Diagnostic("git-failed", "No", "It is away.")
DOWN = replace(CALM.sources[0], problem=PROBLEM)
WEB = Jail("web", "running", "running", "Ready")
STALLED = replace(WEB, condition="Stalled", reason="it does not start")


def told(before: Status, **changes: Any) -> list[tuple[str, str]]:
    """Events with their subjects."""
    return [(one.event, one.subject) for one in news(before, replace(before, **changes))]


def cycle(number: int, outcome: Any, sha: str = boards.GOOD, **more: Any) -> tuple[Cycle, ...]:
    """The cycles with one more."""
    return (Cycle(number, 5.0, 6.0, outcome, sha, **more), *CALM.cycles)


def commits(sha: str) -> str:
    return f"commit/{sha}"


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = {
    "nothing": ({}, {"cycle": 99, "phase_since": 1.0}, []),
    "a commit begins": ({}, {"phase": "applying", "commit": TIP}, [("commit-pending", commits(boards.TIP))]),
    "drift is corrected": ({}, {"phase": "applying"}, []),
    "a commit was applied": (
        {},
        {"cycles": cycle(2, "applied", boards.TIP)},
        [("commit-applied", commits(boards.TIP))],
    ),
    "drift was corrected": ({}, {"cycles": cycle(2, "applied")}, [("drift-corrected", "drift")]),
    "nothing to do": ({}, {"cycles": cycle(2, "unchanged")}, []),
    "a commit that changes nothing here": (
        {},
        {"cycles": cycle(2, "unchanged", boards.TIP)},
        [("commit-unchanged", commits(boards.TIP))],
    ),
    "a commit failed": ({}, {"cycles": cycle(2, "failed", boards.TIP)}, [("commit-failed", commits(boards.TIP))]),
    "a commit is refused": ({}, {"refused": Refusal(TIP, (PROBLEM,), 1.0)}, [("commit-refused", commits(boards.TIP))]),
    "it is still refused": (
        {"refused": Refusal(TIP, (PROBLEM,), 1.0)},
        {"refused": Refusal(TIP, (PROBLEM,), 2.0)},
        [],
    ),
    "approval is needed": ({}, {"approval": Approval(TIP, 1.0)}, [("approval-needed", commits(boards.TIP))]),
    "it is still needed": ({"approval": Approval(TIP, 1.0)}, {"approval": Approval(TIP, 1.0, window=5.0)}, []),
    "a jail stalls": ({"jails": (WEB,)}, {"jails": (STALLED,)}, [("jail-stalled", "jail/web")]),
    "it is stalled from the start": ({"jails": ()}, {"jails": (STALLED,)}, [("jail-stalled", "jail/web")]),
    "a jail recovers": ({"jails": (STALLED,)}, {"jails": (WEB,)}, [("jail-recovered", "jail/web")]),
    "a jail is new": ({"jails": ()}, {"jails": (WEB,)}, []),
    "a jail goes": ({"jails": (STALLED,)}, {"jails": ()}, []),
    "a source goes down": ({}, {"sources": (DOWN,)}, [("source-down", "source/origin")]),
    "it stays down": ({"sources": (DOWN,)}, {"sources": (replace(DOWN, failures=9),)}, []),
    "it comes back": ({"sources": (DOWN,)}, {"sources": CALM.sources}, [("source-up", "source/origin")]),
    "a source is new": ({"sources": ()}, {"sources": (SourceHealth("b", "x"),)}, []),
    "everything is suspended": ({}, {"suspended": "ada: no"}, [("suspended", "agent")]),
    "it goes on": ({"suspended": "ada: no"}, {"suspended": ""}, [("resumed", "agent")]),
}


@pytest.mark.parametrize(("first", "then", "expected"), CASES.values(), ids=list(CASES))
def test_news(first: dict[str, Any], then: dict[str, Any], expected: list[tuple[str, str]]):
    before = replace(CALM, **first)
    assert told(before, **then) == expected
    after = replace(before, **then)
    assert news(after, after) == ()


def test_every_event_is_told_by_some_case():
    found = {event for first, then, _ in CASES.values() for event, _ in told(replace(CALM, **first), **then)}
    found |= {event for event, _ in told(replace(CALM, jails=(WEB,)), jails=(replace(WEB, condition="Held"),))}
    assert found == set(EVENTS)


def test_what_happened_while_nobody_looked_is_told_in_order():
    after = (Cycle(4, 0.0, 1.0, "applied", "c"), Cycle(3, 0.0, 1.0, "failed", "c"), Cycle(2, 0.0, 1.0, "applied", "b"))
    assert [event for event, _ in told(CALM, cycles=(*after, *CALM.cycles))] == [
        "commit-applied",
        "commit-failed",
        "commit-applied",
    ]


def test_a_message_is_json_that_says_what_and_where():
    (one,) = news(CALM, replace(CALM, refused=Refusal(TIP, (boards.REFUSED,), 1.0)))
    document = json.loads(json.dumps(documented(one, "jails1", 5.0)))
    assert (document["version"], document["host"], document["level"]) == (1, "jails1", "error")
    assert document["commit"] == boards.TIP and document["facts"]["author"] == "Ada Lovelace"
    assert document["facts"]["problems"][0]["place"] == "specs/web.yaml:16:11"
    assert "There is no such key" in document["text"]


STATUSES = [boards.busy(), boards.calm(), CALM, Status("h", 0.0), replace(CALM, **CASES["a jail stalls"][1])]


@given(st.sampled_from(STATUSES), st.sampled_from(STATUSES))
def test_any_change_can_be_told_as_json(before: Status, after: Status):
    for one in news(before, after):
        json.dumps(documented(one, "h", 0.0))
        assert one.text and one.event in EVENTS


def test_the_docs_tell_every_event():
    rows = re.findall(
        r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (?:info|warning|error)",
        (TOP / "docs/monitoring.md").read_text(),
        re.MULTILINE,
    )
    assert {name.strip("` ") for row in rows for name in row.split(",")} == set(EVENTS)
