"""The pages: read-only HTML made by the server, whole without scripts. The one door to jinja2."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

import jinja2

from reconciler.agent import page_text, page_view
from reconciler.agent.board import Board
from reconciler.agent.page_view import Records, Shown
from reconciler.agent.web import Answer, Ask, Route, plain
from reconciler.agent.web_gate import Gate
from reconciler.journal import RunRecord

HTML = "text/html; charset=utf-8"
RUNS = 100
RUNS_SHORT = 10
COMMITS_KEPT = 64

_SHA = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class Pages:
    """All pages of one board. `now` is in seconds since 1970."""

    def __init__(
        self,
        board: Board,
        records: Records,
        gate: Gate,
        now: Callable[[], float],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show `board`, and what `records` know beside it. `ticks` only ever grows."""
        self._board, self._records, self._gate, self._now, self._ticks = board, records, gate, now, ticks
        self._commits: OrderedDict[str, Shown | None] = OrderedDict()
        prepare()

    def routes(self) -> tuple[Route, ...]:
        """Everything that may be read."""
        return (
            Route("GET", "/", self.overview, "overview"),
            Route("GET", "/jails/", self.jail, "jail"),
            Route("GET", "/runs", self.runs, "runs"),
            Route("GET", "/runs/", self.run, "run"),
            Route("GET", "/commits/", self.commit, "commit"),
            Route("GET", "/status.json", self.document, "document"),
            Route("GET", "/healthz", self.health, "health"),
            Route("GET", "/static/", static, "static"),
        )

    def overview(self, ask: Ask) -> Answer:
        """Everything at a glance."""
        status = self._board.now()
        scopes, left_out = page_view.scopes(status.plan.document) if status.plan else ([], 0)
        return self.page(
            "overview.html",
            ask,
            here="overview",
            head=page_view.headline(status),
            phase=page_text.PHASES[status.phase],
            tallies=page_view.tallies(status.jails),
            jails=page_view.listing(status.jails, ask.query),
            scopes=scopes,
            left_out=left_out,
            runs=self._with_commits(self._records.runs(RUNS_SHORT, None)),
            releases=self._records.releases(status.jails),
            status=status,
        )

    def jail(self, ask: Ask) -> Answer:
        """One jail, and what was done to it."""
        status, name = self._board.now(), ask.path.rpartition("/")[2]
        found = next((jail for jail in status.jails if jail.name == name), None)
        if found is None:
            return self.said(ask, 404, "No such jail", "It is in no spec, and this host has no jail of that name.")
        steps = [step for step in status.steps if step.scope == name]
        runs = self._with_commits(self._records.runs(RUNS, name))
        planned = page_view.scopes(status.plan.document)[0] if status.plan else []
        own = [scope for scope in planned if scope.name == name]
        return self.page("jail.html", ask, here="jail", jail=found, steps=steps, scopes=own, runs=runs, status=status)

    def runs(self, ask: Ask) -> Answer:
        """The journal."""
        return self.page("runs.html", ask, here="runs", runs=self._with_commits(self._records.runs(RUNS, None)))

    def run(self, ask: Ask) -> Answer:
        """One run with its steps and their output."""
        number = ask.path.rpartition("/")[2]
        known = number.isascii() and number.isdigit() and len(number) < 16
        found = self._records.run(int(number)) if known else None
        if found is None:
            return self.said(ask, 404, "No such run", "The journal goes back only so far.")
        return self.page("run.html", ask, here="run", run=found, shown=self._commit(found.commit))

    def commit(self, ask: Ask) -> Answer:
        """One commit with its diff."""
        sha = ask.path.rpartition("/")[2]
        found = self._commit(sha) if _SHA.fullmatch(sha) else None
        if found is None:
            return self.said(ask, 404, "No such commit", "The agent's copy of the repository does not have it.")
        return self.page("commit.html", ask, here="commit", shown=found, lines=page_view.diff_lines(found.diff))

    def document(self, _ask: Ask) -> Answer:
        """The board as JSON, for programs."""
        return Answer(200, json.dumps(asdict(self._board.now()), default=str).encode(), "application/json")

    def health(self, _ask: Ask) -> Answer:
        """200 while the loop turns; what jails are like is not asked here."""
        overdue = self._board.now().overdue
        return plain(503, "The loop hangs.") if overdue is not None and self._ticks() > overdue else plain(200, "ok")

    def said(self, ask: Ask, number: int, title: str, words: str) -> Answer:
        """A page with a sentence."""
        return self.page("said.html", ask, number, here="", title=title, words=words)

    def page(self, name: str, ask: Ask, number: int = 200, **context: Any) -> Answer:
        """Render a template with what every page has."""
        session = self._gate.session(ask) if self._gate.open else None
        site = {"actions": self._gate.open, "csrf": session.csrf if session else ""}
        given = {"status": self._board.now(), "now": self._now(), "site": site, **context}
        return Answer(number, _templates().get_template(name).render(given).encode(), HTML)

    def _with_commits(self, runs: Any) -> list[tuple[RunRecord, Shown | None]]:
        return [(run, self._commit(run.commit)) for run in runs]

    def _commit(self, sha: str) -> Shown | None:
        """What a commit is. It never changes, so it is asked for once while it is shown."""
        if not _SHA.fullmatch(sha):
            return None
        if sha not in self._commits:
            found = self._records.commit(sha)
            if found is None:  # it may still come
                return None
            self._commits[sha] = found
            while len(self._commits) > COMMITS_KEPT:
                self._commits.popitem(last=False)
        return self._commits.get(sha)


def static(ask: Ask) -> Answer:
    """A file that pages need; the browser asks each time whether it is still the same."""
    files = _static()
    found = files.get(ask.path.rpartition("/")[2])
    if found is None:
        return plain(404)
    data, kind, tag = found
    headers = (("ETag", tag), ("Cache-Control", "no-cache"))
    if ask.headers.get("if-none-match", "") == tag:
        return Answer(304, b"", kind, headers)
    return Answer(200, data, kind, headers)


def prepare() -> None:
    """Compile every template now: what that takes goes to the heap that the loop uses, not to a thread's for good."""
    known = _templates()
    for name in known.list_templates():
        known.get_template(name)


@cache
def _static() -> Mapping[str, tuple[bytes, str, str]]:
    folder = resources.files("reconciler.agent").joinpath("static")
    found = {}
    for file in folder.iterdir():
        ending = file.name.rpartition(".")[2]
        if ending in _KINDS:
            data = file.read_bytes()
            found[file.name] = (data, _KINDS[ending], f'"{hashlib.sha256(data).hexdigest()[:16]}"')
    return found


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reconciler.agent", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        ago=page_text.ago,
        clean=page_text.clean,
        length_of=page_text.length,
        mood=page_view.mood,
        plural=page_text.plural,
        short=page_text.short,
        stamp=page_text.stamp,
    )
    return made
