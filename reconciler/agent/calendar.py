"""The releases that jails stand on: until when each is supported, and its newest patch level. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date

from reconciler.agent.board import Jail
from reconciler.agent.page_view import Release
from reconciler.releases.eol import support
from reconciler.releases.tag import SignedTag

_RELEASE = re.compile(r"(?P<name>\S+?)(?:-p(?P<level>\d{1,5})| latest)?")


def releases(
    jails: Sequence[Jail], today: date, known: Callable[[str], SignedTag | None] = lambda _: None
) -> tuple[Release, ...]:
    """One row for each release that a spec names, what needs somebody first. `known` gives the tag seen last."""
    found: dict[str, list[tuple[str, str]]] = {}
    for jail in jails:
        match = _RELEASE.fullmatch(jail.release)
        if match is not None:
            found.setdefault(match["name"], []).append((jail.name, match["level"] or ""))
    rows = [_row(name, tuple(users), today, known(name)) for name, users in found.items()]
    return tuple(sorted(rows, key=lambda row: ({"eol": 0, "unknown": 1, "supported": 2}[row.state], row.name)))


def _row(name: str, users: tuple[tuple[str, str], ...], today: date, tag: SignedTag | None) -> Release:
    told = support(name, today, tag)
    newest = tag.tag.patch if tag is not None else None
    behind = tuple(jail for jail, level in users if newest is not None and level and int(level) < newest)
    return Release(
        name,
        tuple(jail for jail, _ in users),
        told.state,
        told.until.isoformat() if told.until else "",
        told.source,
        f"p{newest}" if newest is not None else "",
        behind,
    )
