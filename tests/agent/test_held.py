"""News over a restart: what was not sent is sent later, what was said is not said again, and the commit in force is
told of once."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reconciler.agent.board import Cycle, Refusal, Status
from reconciler.agent.config import NotifyConfig
from reconciler.agent.held import Held
from reconciler.agent.news import News, news
from reconciler.agent.notify import Notifier, Target
from reconciler.agent.outbox import Message, Outbox
from tests.agent import boards

HOUR = 3600.0
TARGET = NotifyConfig(command=("/bin/true",))
CALM = replace(boards.calm(), cycles=(Cycle(1, 0.0, 1.0, "applied", boards.GOOD),))


def message(text: str, subject: str = "jail/web") -> Message:
    one = News("jail-stalled", "error", subject, text, jail="web", facts={"failures": 3})
    return Message(one.subject, f"{one.event} {one.text}", (one, 5.0))


def again(folder: Path, wall: float, now: float) -> Outbox:
    """The outbox of the next agent, whose clock that never goes back begins anew."""
    box = Outbox(lambda: 0.0)
    Held(folder, lambda: wall, [TARGET]).box(TARGET).restore(box, now)
    return box


def test_what_was_not_sent_is_sent_by_the_next_agent_as_often_as_is_left(tmp_path: Path) -> None:
    first = Outbox(lambda: 0.0)
    first.put(message("it hangs"), 100.0)
    first.put(message("it hangs too", "jail/db"), 100.0)
    one, _ = first.due(100.0)
    assert one is not None and first.failed(one, 100.0, again=True)
    Held(tmp_path, lambda: 1000.0).box(TARGET).keep(first, 100.0)
    second = again(tmp_path, 1060.0, 3.0)
    assert [(m.body[0].text, m.body[1], m.attempts) for m in second.waiting()] == [
        ("it hangs", 5.0, 1),
        ("it hangs too", 5.0, 0),
    ]
    assert second.waiting()[0].body[0] == message("it hangs").body[0]


@pytest.mark.parametrize(("later", "count"), [(60.0, 0), (-60.0, 0), (-9 * HOUR, 0), (2 * HOUR, 1)])
def test_what_was_said_lately_is_not_said_again(tmp_path: Path, later: float, count: int) -> None:
    first = Outbox(lambda: 0.0)
    first.put(message("it hangs"), 100.0)
    one, _ = first.due(100.0)
    assert one is not None
    first.sent(one, 100.0)
    Held(tmp_path, lambda: 1e6).box(TARGET).keep(first, 160.0)
    second = again(tmp_path, 1e6 + later, 3.0)
    second.put(message("it hangs"), 3.0)
    assert len(second) == count
    second.put(message("it hangs otherwise"), 3.0)
    assert len(second) == 1


STRANGE = {"event": "no", "level": "info", "subject": "a", "text": "b", "at": 1, "attempts": 0}
DAMAGED = [
    "",
    "[",
    "{}",
    "[]",
    '{"at": 1, "waiting": [{}], "said": {}}',
    '{"at": "x", "waiting": [], "said": {"a": 1}}',
    json.dumps({"at": 1, "said": {}, "waiting": [STRANGE]}),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_what_is_damaged_is_as_none(tmp_path: Path, text: str) -> None:
    Held(tmp_path, lambda: 1.0).box(TARGET).keep(Outbox(lambda: 0.0), 1.0)
    (file,) = tmp_path.glob("target-*")
    file.write_text(text)
    (tmp_path / "reached.json").write_text(text)
    box = again(tmp_path, 1.0, 1.0)
    assert (len(box), Held(tmp_path, lambda: 1.0).reached()) == (0, "")


def test_a_file_that_others_may_write_is_as_none_and_that_of_a_target_that_is_gone_goes(tmp_path: Path) -> None:
    box = Outbox(lambda: 0.0)
    box.put(message("it hangs"), 1.0)
    Held(tmp_path, lambda: 1.0).box(TARGET).keep(box, 1.0)
    (file,) = tmp_path.glob("target-*")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o666)
    assert len(again(tmp_path, 1.0, 1.0)) == 0
    Held(tmp_path, lambda: 1.0, [NotifyConfig(command=("/bin/false",))])
    assert list(tmp_path.glob("target-*")) == []


@pytest.mark.parametrize("outcome", ["applied", "unchanged"])
def test_a_commit_in_force_is_not_told_of_again_after_a_restart(outcome: Any) -> None:
    start = Status("h", 0.0)
    after = replace(CALM, cycles=(Cycle(1, 0.0, 1.0, outcome, boards.GOOD),))
    told = [one.event for one in news(start, after, boards.GOOD)]
    assert told == (["drift-corrected"] if outcome == "applied" else [])
    assert [one.event for one in news(start, after)] == [f"commit-{outcome}"]


def test_going_back_to_a_commit_of_before_is_news() -> None:
    then = replace(CALM, cycles=(Cycle(2, 1.0, 2.0, "applied", boards.TIP), *CALM.cycles))
    back = replace(then, cycles=(Cycle(3, 2.0, 3.0, "applied", boards.GOOD), *then.cycles))
    assert [one.event for one in news(then, back)] == ["commit-applied"]


def test_an_agent_and_the_one_after_it(tmp_path: Path) -> None:
    out = tmp_path / "news"
    config = NotifyConfig(command=("/bin/sh", "-c", f"cat >> {out}; echo >> {out}"))

    def agent(*statuses: Status) -> list[str]:
        held = Held(tmp_path / "held", lambda: 1.0, [config])
        notifier = Notifier([Target(1, config, "h", held=held)], lambda: 9.0, held)
        notifier.start()
        for before, after in pairwise(statuses):
            notifier.changed(before, after)
        notifier.close(60)
        lines = out.read_text().splitlines() if out.exists() else []
        out.unlink(missing_ok=True)
        return [json.loads(line)["event"] for line in lines]

    start = Status("h", 0.0)
    refused = replace(CALM, refused=Refusal(boards.commit(boards.TIP), (boards.REFUSED,), 1.0))
    assert sorted(agent(start, CALM, refused)) == ["commit-applied", "commit-refused"]
    assert agent(start, replace(refused, cycles=(Cycle(1, 0.0, 1.0, "unchanged", boards.GOOD),))) == []
