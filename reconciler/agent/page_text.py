"""Times, lengths and names as people read them. Pure: the time of day is an argument."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from reconciler.agent.board import Phase

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_FAR = 253402300799.0  # the last second of the year 9999

PHASES: dict[Phase, str] = {
    "starting": "Starting",
    "waiting": "Converged",
    "fetching": "Looking for commits",
    "verifying": "Checking signatures",
    "planning": "Planning",
    "awaiting-approval": "Waiting for approval",
    "applying": "Applying",
    "stalled": "Stalled",
    "suspended": "Suspended",
    "stopping": "Stopping",
}


def length(seconds: float) -> str:
    """A duration: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 0:
        return f"-{length(-seconds)}"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"


def ago(at: float | None, now: float) -> str:
    """A time as seen from now: `3 min ago`, `in 5 s`, `just now`; `never` for None."""
    if at is None:
        return "never"
    if abs(now - at) < 1:
        return "just now"
    return f"{length(int(now - at))} ago" if at <= now else f"in {length(int(at - now + 0.5))}"


def stamp(at: float) -> str:
    """The time as RFC 3339, in UTC; what no calendar has is the end of it."""
    return datetime.fromtimestamp(max(0.0, min(at, _FAR)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(sha: str) -> str:
    """A commit as people name it."""
    return sha[:10]


def clean(text: str) -> str:
    """Text of others without what steers terminals or turns reading around; lines and tabs stay."""
    return _CONTROL.sub("�", _ANSI.sub("", text.replace("\r\n", "\n")))


def plural(count: int, one: str, many: str = "") -> str:
    """`1 jail`, `2 jails`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
