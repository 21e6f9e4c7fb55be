"""The outbox in virtual time: nothing twice, nothing lost while there is hope, nothing without end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent.outbox import AGAIN, ATTEMPTS, BURST, EACH, LONGEST, WAITING, Message, Outbox


def box(chance: float = 0.0) -> Outbox:
    return Outbox(lambda: chance)


def message(subject: str = "jail/web", said: str = "stalled", body: Any = None) -> Message:
    return Message(subject, said, body if body is not None else object())


def drain(outbox: Outbox, now: float) -> list[str]:
    """Everything that is due now, and arrives."""
    found = []
    while (one := outbox.due(now)[0]) is not None:
        found.append(one.said)
        outbox.sent(one, now)
    return found


def test_the_same_is_not_said_again_of_a_subject_for_a_while():
    outbox = box()
    outbox.put(message(), 0.0)
    assert drain(outbox, 0.0) == ["stalled"]
    outbox.put(message(), 10.0)
    assert drain(outbox, 10.0) == []
    outbox.put(message(said="recovered"), 20.0)
    outbox.put(message("jail/db"), 20.0)
    assert drain(outbox, 20.0) == ["recovered", "stalled"]
    outbox.put(message(), 30.0)
    assert drain(outbox, 30.0) == ["stalled"], "it stalls again after it recovered"
    outbox.put(message(), 31.0 + AGAIN)
    assert drain(outbox, 31.0 + AGAIN) == ["stalled"], "after a while it is worth saying again"


def test_of_one_subject_only_the_latest_waits():
    outbox = box()
    for said in ("stalled", "recovered", "stalled", "recovered"):
        outbox.put(message(said=said), 0.0)
    assert drain(outbox, 0.0) == ["recovered"]


def test_a_burst_goes_at_once_and_the_rest_slowly():
    outbox = box()
    for number in range(BURST + 5):
        outbox.put(message(f"jail/{number}"), 0.0)
    assert len(drain(outbox, 0.0)) == BURST
    assert outbox.due(0.0) == (None, EACH)
    assert len(drain(outbox, EACH)) == 1
    assert len(drain(outbox, EACH * 3)) == 2


def test_failures_are_tried_again_with_longer_and_longer_pauses_and_then_given_up():
    outbox, now, pauses = box(), 0.0, []
    outbox.put(message(), now)
    while (one := outbox.due(now)[0]) is not None:
        kept = outbox.failed(one, now, again=True)
        _, wait = outbox.due(now)
        if not kept:
            break
        pauses.append(wait)
        now += wait
    assert len(pauses) == ATTEMPTS - 1 and pauses == sorted(pauses) and max(pauses) <= LONGEST * 1.5
    assert len(outbox) == 0


def test_what_will_never_arrive_is_given_up_at_once_and_holds_nobody_up():
    outbox = box()
    outbox.put(message(), 0.0)
    outbox.put(message("jail/db", "other"), 0.0)
    one, _ = outbox.due(0.0)
    assert one is not None and outbox.failed(one, 0.0, again=False) is False
    assert drain(outbox, 0.0) == ["other"]


def test_news_that_come_while_the_old_are_sent_are_sent_too():
    outbox = box()
    outbox.put(message(), 0.0)
    one, _ = outbox.due(0.0)
    assert one is not None
    outbox.put(message(said="recovered"), 1.0)
    outbox.sent(one, 2.0)
    assert drain(outbox, 2.0) == ["recovered"]


def test_a_target_that_is_down_for_long_costs_a_bounded_room():
    outbox = box()
    dropped = [outbox.put(message(f"jail/{n}", str(n)), 0.0) for n in range(WAITING + 3)]
    assert len(outbox) == WAITING and [one.said for one in dropped if one] == ["0", "1", "2"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.booleans(), st.floats(0, 100)), max_size=40)
)
def test_whatever_fails_the_last_word_on_each_subject_arrives_once_the_target_is_back(steps: Any):
    outbox, now, last = box(0.5), 0.0, {}
    arrived: dict[str, str] = {}
    for subject, said, fails, pause in steps:
        outbox.put(message(subject, said), now)
        last[subject] = said
        one, _ = outbox.due(now)
        if one is not None and fails and one.attempts < ATTEMPTS - 1:
            outbox.failed(one, now, again=True)
        elif one is not None:
            outbox.sent(one, now)
            arrived[one.subject] = one.said
        now += pause
    for _ in range(200):
        one, wait = outbox.due(now)
        if one is None and wait == float("inf"):
            break
        if one is None:
            now += wait
            continue
        outbox.sent(one, now)
        arrived[one.subject] = one.said
    assert arrived == last
