"""What `reconcile release list` shows: releases offered, here, wanted and used, in one row each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from reconciler.cache import Cache, default_folder
from reconciler.cli.mirrors import Offer
from reconciler.kinds.release import have
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.reconcile import Session
from reconciler.releases.catalog import Layout
from reconciler.releases.distribution import Distribution, Release
from reconciler.today import today


@dataclass(frozen=True, slots=True)
class Row:
    """One release. `here` are the patch levels that are sealed in the pool, `jails` whose live roots have which.

    `wanted` are jails whose specs ask for it.
    """

    release: Release
    here: tuple[int, ...] = ()
    jails: tuple[tuple[str, int], ...] = ()
    wanted: tuple[str, ...] = ()

    @property
    def matters(self) -> bool:
        """Whether it is shown without being asked for: all but what only lies in the archive."""
        return bool(self.here or self.jails or self.wanted) or not self.release.archived


def distribution(run: Session, offer: Offer, layout: Layout = "FreeBSD", day: date | None = None) -> Distribution:
    """The distribution as a session's host sees it."""
    facts = run.facts
    return Distribution(
        layout, facts.machine, facts.arch, facts.osrelease, offer.mirror or None, offer.updates,
        Cache(default_folder(os.environ)), offer.patience, day or today(),
    )  # fmt: skip


def rows(run: Session, source: Distribution) -> list[Row]:
    """Every release that is offered, here, wanted or used. What could not be looked up is in `source.problems`."""
    here, used, wanted = _here(run), _used(run), _wanted(run)
    try:
        listed = {release.name: release for release in source.releases}
    except FetchError as error:
        source.problems.extend(error.diagnostics)
        listed = {}
    rest = ({*here, *used, *wanted, *run.selected.releases} - listed.keys()) if source.name == "FreeBSD" else set()
    known = [*listed.values(), *source.described(rest)]
    # HardenedBSD's names have no numbers, and stay in the order of their mirror.
    known.sort(key=lambda release: (release.version is not None, release.version or 0))
    return [
        Row(release, here.get(release.name, ()), used.get(release.name, ()), wanted.get(release.name, ()))
        for release in known
    ]


def _here(run: Session) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for release in have(run.seen):
        found.setdefault(release.name.rpartition("-p")[0], []).append(release.level)
    return {name: tuple(sorted(levels)) for name, levels in found.items()}


def _used(run: Session) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """Jails by the release that their live root was made from, with its level."""
    from reconciler.cli.overview import recorded
    from reconciler.kinds.config import generation

    found: dict[str, list[tuple[str, int]]] = {}
    for path in sorted(run.seen.rows):
        kind, _, jail = path.partition("/")
        if kind != "jails" or not jail or "/" in jail or "@" in jail:
            continue
        live = generation(run.seen.observed.files.get(f"jails/{jail}/fstab"), run.place, jail)
        name, _, level = recorded(run.seen, f"jails/{jail}/{live}").rpartition("-p")
        if name and level.isdigit():
            found.setdefault(name, []).append((jail, int(level)))
    return {name: tuple(jails) for name, jails in found.items()}


def _wanted(run: Session) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, sourced in sorted(run.selected.jails.items()):
        if sourced.doc.release:
            found.setdefault(sourced.doc.release, []).append(name)
    return {name: tuple(jails) for name, jails in found.items()}


def as_json(found: Iterable[Row], problems: Iterable[Diagnostic]) -> dict[str, Any]:
    """The same for programs; `null` is unknown. Dates are ISO, `support.source` says who told."""
    return {
        "releases": [_row_as_json(row) for row in found],
        "problems": [{"code": p.code, "summary": p.summary, "detail": p.detail} for p in problems],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    release, support = row.release, row.release.support
    return {
        "name": release.name,
        "here": list(row.here),
        "newest_level": release.newest_level,
        "support": {
            "state": support.state,
            "until": support.until.isoformat() if support.until else None,
            "source": support.source or None,
            "as_of": support.as_of.isoformat() if support.as_of else None,
        },
        "eol": release.eol,
        "newer_than_host": release.newer_than_host,
        "offered": [{"url": place.url, "archived": place.archived} for place in release.offered],
        "jails": [{"name": name, "level": level} for name, level in row.jails],
        "wanted_by": list(row.wanted),
    }


def as_table(found: Iterable[Row]) -> list[tuple[str, ...]]:
    """The same for people; the first row is the head."""
    out: list[tuple[str, ...]] = [("RELEASE", "HERE", "NEWEST", "SUPPORT", "JAILS", "")]
    for row in found:
        release = row.release
        newest = "unknown" if release.newest_level is None else f"p{release.newest_level}"
        here = ", ".join(f"p{level}" for level in row.here) or "-"
        jails = ", ".join(f"{name} (p{level})" for name, level in row.jails) or "-"
        out.append((release.name, here, newest, str(release.support), jails, ", ".join(marks(release))))
    return out


def marks(release: Release) -> list[str]:
    """What somebody who chooses should know."""
    found = ["newer than the host"] if release.newer_than_host else []
    if release.archived:
        found.append("archive")
    elif not release.offered:
        found.append("not in the mirror's list")
    return found


def once(problems: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The problems, those of one code as one: a mirror that cannot be reached is one thing to know, not ten."""
    by_code: dict[str, list[Diagnostic]] = {}
    for problem in problems:
        by_code.setdefault(problem.code, []).append(problem)
    out = []
    for first, *others in by_code.values():
        more = f" ({len(others)} more like it)" if others else ""
        out.append(replace(first, detail=f"{first.detail}{more}", severity="warning"))
    return out
