"""Maintenance windows: whether one is open, and when the next opens. Pure: times are those of a clock on the wall.

A window whose hour does not exist on a day (summer time begins) does not open on it; one whose hour comes twice is open
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from reconciler.agent.config import WindowConfig, WindowsConfig

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def local_time(zone: str) -> Callable[[float], datetime]:
    """What the wall's clock of a time zone shows at a time in seconds since 1970."""
    return lambda seconds: datetime.fromtimestamp(seconds, ZoneInfo(zone))


def is_open(windows: WindowsConfig, at: datetime) -> bool:
    """Whether new commits may be applied at this local time."""
    allowed = not windows.allow or any(_inside(window, at) for window in windows.allow)
    return allowed and not any(_inside(window, at) for window in windows.deny)


def next_open(windows: WindowsConfig, at: datetime) -> datetime | None:
    """The first moment from `at` on that is open; None where there is none within nine days."""
    if is_open(windows, at):
        return at
    # Only where a window begins or ends can anything change.
    edges = sorted({edge for window in (*windows.allow, *windows.deny) for edge in _edges(window, at)})
    return next((edge for edge in edges if edge > at and is_open(windows, edge)), None)


def _edges(window: WindowConfig, at: datetime) -> Iterable[datetime]:
    for days in range(-1, 9):
        day = (at + timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
        yield from _span(window, day)


def _span(window: WindowConfig, day: datetime) -> tuple[datetime, datetime]:
    """Where a window begins and ends that opens on this day."""
    begin, end = (day.replace(hour=int(text[:2]), minute=int(text[3:])) for text in (window.begin, window.end))
    return begin, end if end > begin else end + timedelta(days=1)


def _inside(window: WindowConfig, at: datetime) -> bool:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight, midnight - timedelta(days=1)):
        begin, end = _span(window, day)
        if _DAYS[day.weekday()] in window.days and begin <= at < end:
            return True
    return False
