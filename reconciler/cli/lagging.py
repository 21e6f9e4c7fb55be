"""How far jails are behind the newest patch level, and until when their releases get patches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.cache import Cache, default_folder
from reconciler.cli import session, show
from reconciler.cli.mirrors import key_prints, offered, patience_of
from reconciler.cli.overview import Status
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.reconcile import Session
from reconciler.releases.eol import support
from reconciler.releases.tag import SignedTag, Tags, Updates
from reconciler.releases.version import Version, parse_version
from reconciler.today import today


def lagging(run: Session, found: Iterable[Status], *, ask: bool) -> list[Status]:
    """Every jail with its newest level and its support; with `ask` the update server is asked, else what it said last.

    What cannot be learnt is unknown, never well: where it was asked for, that is said.
    """
    statuses = list(found)
    versions = {status.name: _version(status) for status in statuses}
    releases = sorted({version.release for version in versions.values() if version is not None})
    tags = _tags(run, releases, ask=ask)
    return [_judged(status, versions[status.name], tags, ask=ask) for status in statuses]


def _version(status: Status) -> Version | None:
    """What the jail runs: as its root says, where that was looked at; else what it was built from."""
    for text in (status.release_observed, status.release_recorded):
        try:
            return parse_version(text)
        except FetchError:
            continue
    return None


def _tags(run: Session, releases: list[str], *, ask: bool) -> Mapping[str, SignedTag]:
    """The verified tag of each release that has one."""
    if not ask:
        tags = Tags(Cache(default_folder(os.environ)), Updates(key_prints=key_prints(run.host.url, run.document)))
        kept = {release: tags.known(release, run.facts.machine) for release in releases}
        return {release: tag for release, tag in kept.items() if tag is not None}
    found: dict[str, SignedTag] = {}
    with offered("", run.host.url, run.document, patience_of(run.document, offline=False)) as offer:
        site = session.site(run, offer=offer)
        for release in releases:
            known = Tags(site.cache, site.updates).known(release, site.facts.machine)
            try:
                found[release] = site.tag(release)
            except FetchError as error:
                show.show([_unknown(release, error, known)])
                found |= {release: known} if known is not None else {}
    return found


def _unknown(release: str, error: FetchError, known: SignedTag | None) -> Diagnostic:
    detail = f"{release}: {error.diagnostics[0].detail or error.diagnostics[0].summary}"
    hint = "What was learnt before is shown. " if known else ""
    hint += "Run the command again later."
    return Diagnostic("level-unknown", "The newest patch level is not known", detail, hint, severity="warning")


def _judged(status: Status, version: Version | None, tags: Mapping[str, SignedTag], *, ask: bool) -> Status:
    if version is None:
        return status
    tag = tags.get(version.release)
    told = support(version.release, today(), tag)
    behind = max(0, tag.tag.patch - version.level) if tag is not None else None
    until = told.until.isoformat() if told.until else ""
    notes = list(status.notes)
    if behind:
        newest = f"{version.release}-p{tag.tag.patch if tag else 0}"
        notes.append(f"{behind} patch level{'' if behind == 1 else 's'} behind: {newest} is out")
    if ask and told.state == "eol":
        notes.append(f"{version.release} gets no patches since {until}")
    if status.release_observed and status.release_recorded and str(version) != str(_recorded(status)):
        notes.append(f"its root says {version.at(version.level)}, and was built from {status.release_recorded}")
    newest = f"{version.release}-p{tag.tag.patch}" if tag else ""
    return replace(status, notes=tuple(notes), newest=newest, behind=behind, support=told.state, until=until)


def _recorded(status: Status) -> Version | None:
    try:
        return parse_version(status.release_recorded)
    except FetchError:
        return None


def unwell(status: Status) -> bool:
    """Whether a monitor should speak up: levels behind, no patches any more, or not known."""
    runs = bool(status.release_recorded or status.release_observed)
    return status.off or (runs and (status.behind is None or status.behind > 0 or status.support != "supported"))
