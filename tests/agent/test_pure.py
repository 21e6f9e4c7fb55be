"""What decides, without a clock, a host or git: backoff, windows, the gate, the choice, versions, trust."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.agent.approval import gate
from reconciler.agent.backoff import wait_after
from reconciler.agent.board import Approval, Commit
from reconciler.agent.choose import Offer, choose, newest_below
from reconciler.agent.config import ApprovalConfig, WindowConfig, WindowsConfig
from reconciler.agent.due import until_next
from reconciler.agent.git import Made
from reconciler.agent.sources import newest_tag
from reconciler.agent.trust import doubts, good
from reconciler.agent.windows import is_open, local_time, next_open

MONDAY = datetime(2026, 11, 23)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
windows = st.builds(
    WindowConfig,
    days=st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True).map(tuple),
    begin=st.times().map(lambda t: t.strftime("%H:%M")),
    end=st.times().map(lambda t: t.strftime("%H:%M")),
)
schedules = st.builds(
    WindowsConfig, allow=st.lists(windows, max_size=2).map(tuple), deny=st.lists(windows, max_size=2).map(tuple)
)
moments = st.integers(0, 14 * 1440).map(lambda minutes: MONDAY + timedelta(minutes=minutes))


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_grows_and_stays_within_its_bounds(failures: int, chance: float) -> None:
    wait = wait_after(failures, 10, 900, chance)
    assert 5 <= wait <= 900
    assert wait <= wait_after(failures + 1, 10, 900, chance)
    assert wait_after(0, 10, 900, chance) == 0


@settings(deadline=None, max_examples=40)
@given(schedules, moments)
def test_the_next_opening_is_open_and_the_first(schedule: WindowsConfig, at: datetime) -> None:
    opens = next_open(schedule, at)
    if opens is None:
        assert not any(is_open(schedule, at + timedelta(minutes=m)) for m in range(0, 7 * 1440, 31))
        return
    assert is_open(schedule, opens)
    assert at <= opens
    span = int((opens - at).total_seconds() // 60)
    assert not any(is_open(schedule, at + timedelta(minutes=m)) for m in range(0, span, max(1, span // 100)))


@pytest.mark.parametrize(
    ("begin", "end", "at", "inside"),
    [
        ("09:00", "17:00", "mon 09:00", True),
        ("09:00", "17:00", "mon 17:00", False),
        ("22:00", "04:00", "tue 03:59", True),
        ("22:00", "04:00", "mon 03:59", False),
        ("00:00", "00:00", "mon 23:59", True),
        ("00:00", "00:00", "tue 00:00", False),
    ],
)
def test_a_window_may_pass_midnight(begin: str, end: str, at: str, inside: bool) -> None:
    day, clock = at.split()
    hour, minute = map(int, clock.split(":"))
    when = MONDAY + timedelta(days=DAYS.index(day), hours=hour, minutes=minute)
    schedule = WindowsConfig(allow=(WindowConfig(days=("mon",), begin=begin, end=end),))
    assert is_open(schedule, when) is inside


def test_the_gate() -> None:
    automatic, manual = ApprovalConfig(), ApprovalConfig(mode="manual")
    delayed = ApprovalConfig(mode="delayed", after=600)
    always, night = WindowsConfig(), WindowsConfig(allow=(WindowConfig(begin="02:00", end="03:00"),))
    noon = MONDAY.replace(hour=12)
    assert gate(automatic, always, "a", (), 0, noon).open
    assert gate(manual, night, "a", ("a",), 0, noon).open
    assert gate(manual, always, "a", ("b",), 9e9, noon).seconds is None
    assert gate(delayed, always, "a", (), 590, noon).seconds == 10
    assert gate(delayed, always, "a", (), 600, noon).open
    waits = gate(automatic, night, "a", (), 0, noon)
    assert (waits.open, waits.seconds, waits.window) == (False, 14 * 3600, MONDAY + timedelta(days=1, hours=2))
    never = WindowsConfig(deny=(WindowConfig(),))
    shut = gate(automatic, never, "a", (), 0, noon)
    assert (shut.open, shut.window) == (False, None)


NIGHT = WindowsConfig(allow=(WindowConfig(begin="02:30", end="04:00"),))


def at(moment: str) -> datetime:
    """What a clock in Berlin shows at a moment in UTC."""
    return local_time("Europe/Berlin")(datetime.fromisoformat(f"{moment}+00:00").timestamp())


@pytest.mark.parametrize(
    ("moment", "opened", "hours"),
    [
        ("2026-11-23T01:29", False, 1 / 60),
        ("2026-11-23T01:30", True, 0),
        ("2026-11-23T03:00", False, 22.5),
        # 02:30 does not exist on this day: of a window that begins in the lost hour the rest is open.
        ("2027-03-28T00:59", False, 0),
        ("2027-03-28T01:00", True, 0),
        ("2027-03-28T02:00", False, 22.5),
        # 02:30 to 03:00 comes twice on this day.
        ("2027-10-31T00:30", True, 0),
        ("2027-10-31T01:00", False, 0.5),
        ("2027-10-31T01:30", True, 0),
        ("2027-10-30T02:30", False, 0),
        # The night before, an hour more or less than the walls' difference.
        ("2027-03-27T12:00", False, 13.5),
        ("2027-10-30T12:00", False, 12.5),
    ],
)
def test_windows_keep_the_time_of_their_zone_when_summer_time_begins_and_ends(moment, opened, hours) -> None:
    found = gate(ApprovalConfig(), NIGHT, "a", (), 0, at(moment))
    assert found.open == opened
    if hours and not opened:
        assert found.seconds == hours * 3600


HISTORY = {"d": "abcd", "c": "abc", "b": "ab", "a": "a", "x": "ax", "t": "abct", "y": "y"}
"""Each commit with its ancestors: a - b - c - d; x forks off at a, t sits on c, y is a stranger."""


def contains(newer: str, older: str) -> bool:
    return older in HISTORY[newer]


@pytest.mark.parametrize(
    ("last", "tips", "chosen", "refused"),
    [
        ("", ["b"], "b", ""),
        ("b", ["b"], "b", ""),
        ("b", ["c"], "c", ""),
        ("b", ["c", "d"], "d", ""),
        ("b", ["d", "c"], "d", ""),
        ("b", ["a", "c"], "c", ""),
        ("b", ["y", "c"], "c", ""),
        ("c", ["a"], "", "commit-downgrade"),
        ("c", ["x"], "", "history-rewritten"),
        ("c", ["y"], "", "history-rewritten"),
        ("b", [], "", ""),
    ],
)
def test_the_newest_that_leads_on_is_chosen_and_nothing_leads_back(last, tips, chosen, refused) -> None:
    choice = choose(last, [Offer(f"s{n}", tip, "main") for n, tip in enumerate(tips)], contains)
    assert (choice.sha, choice.refused.code if choice.refused else "") == (chosen, refused)


@pytest.mark.parametrize(
    ("main", "testing", "stale", "chosen"),
    [
        ("c", "t", "", "t"),
        ("b", "t", "", "t"),
        ("d", "t", "", "d"),
        ("c", "c", "", "c"),
        ("c", "t", "t", "c"),
        ("c", "b", "", "c"),
    ],
)
def test_a_testing_branch_counts_on_top_of_main_only(main, testing, stale, chosen) -> None:
    offer = Offer("origin", main, "main", testing, "testing-host")
    choice = choose("a", [offer], contains, frozenset(stale))
    assert (choice.sha, choice.testing) == (chosen, chosen == "t")


@given(st.sampled_from(sorted(HISTORY)), st.lists(st.sampled_from(sorted(HISTORY)), max_size=4))
def test_no_choice_ever_leads_back(last: str, tips: list[str]) -> None:
    choice = choose(last, [Offer(tip, tip, "main", "t") for tip in tips], contains)
    assert not choice.sha or contains(choice.sha, last)


@pytest.mark.parametrize(
    ("last", "approved", "found"),
    [
        ("a", "b", "b"),
        ("a", "bc", "c"),
        ("a", "cb", "c"),
        ("b", "ab", ""),
        ("c", "ab", ""),
        ("a", "d", ""),
        ("a", "xyt", ""),
        ("", "a", "a"),
        ("a", "", ""),
    ],
)
def test_while_the_newest_waits_the_newest_that_was_approved_counts(last, approved, found) -> None:
    assert newest_below("d", last, approved, contains) == found


@pytest.mark.parametrize(
    ("others", "shared", "approval", "wait"),
    [
        ([None], None, None, 60),
        ([5, None, 20], None, None, 5),
        ([0, -3], None, None, 1),
        ([5], 30, None, 30),
        ([None], None, (130.0, None), 30),
        ([None], None, (None, 110.0), 10),
        ([None], None, (-9e9, 9e9), 60),
    ],
)
def test_the_next_turn_is_when_something_is_due_and_nothing_spins(others, shared, approval, wait) -> None:
    waiting = Approval(Commit("a"), 0.0, *approval) if approval is not None else None
    assert until_next(60.0, others, shared, waiting, 100.0) == wait


@pytest.mark.parametrize(
    ("names", "pattern", "newest"),
    [
        (["v1.9", "v1.10"], "v*", "v1.10"),
        (["v1.0", "v1.0-rc1", "v1.0-rc2"], "v*", "v1.0"),
        (["v1.0-rc9", "v1.0-rc10"], "v*", "v1.0-rc10"),
        (["v1.0", "v1.0.1"], "v*", "v1.0.1"),
        (["v2", "nightly"], "v*", "v2"),
        (["v2", "v2^{}"], "v*", "v2"),
        (["x"], "v*", None),
    ],
)
def test_the_newest_tag(names: list[str], pattern: str, newest: str | None) -> None:
    found = newest_tag([f"refs/tags/{name}" for name in names], pattern)
    assert found == (f"refs/tags/{newest}" if newest else None)


@pytest.mark.parametrize("letter", "GUNBEXYR")
@pytest.mark.parametrize("key", ["SHA256:abc", "0123ABCD"])
def test_only_a_good_signature_is_good(letter: str, key: str) -> None:
    made = Made("a" * 40, "Eve", "eve@example.org", 0, "x", letter, "", key)
    # U is a key of unknown worth to gpg, and a key that nobody allowed to ssh.
    assert good(made) == (letter == "G" or (letter == "U" and key.startswith("0")))
    assert len(doubts([made])) == (not good(made))
