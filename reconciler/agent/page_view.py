"""What the pages show, worked out from the board's status and the records. Pure, and without any markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.agent.board import Commit, Jail, Status
from reconciler.agent.page_text import PHASES
from reconciler.journal import RunRecord

ROWS = 100
"""Jails on one page."""
FEW, SHORT = 30, 10
"""More jails than FEW are shown in short until somebody asks: those that are not Ready, and SHORT of them at least."""
STEPS = 400
"""Steps of a plan on one page."""
DIFF_LIMIT = 256 << 10
"""Characters of a commit's diff that are shown."""

Mood = Literal["good", "busy", "warn", "bad", "idle"]
CONDITIONS: Mapping[str, Mood] = {
    "Stalled": "bad",
    "Held": "warn",
    "Progressing": "busy",
    "Suspended": "idle",
    "Ready": "good",
}
"""How a condition looks; what needs somebody stands first."""
_ORDER = {name: number for number, name in enumerate(CONDITIONS)}
_OUTCOMES: Mapping[str, Mood] = {
    "applied": "good",
    "already-done": "good",
    "unchanged": "good",
    "done": "good",
    "failed": "bad",
    "stopped": "bad",
    "moved": "warn",
    "blocked": "warn",
    "refused": "warn",
    "waiting": "warn",
    "suspended": "idle",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A commit with what it changed. `cut` says whether the diff goes on."""

    commit: Commit
    diff: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """A release that jails stand on: until when it is supported, and who told. `newest` is its last patch level.

    `behind` are jails whose specs pin an older level.
    """

    name: str
    jails: tuple[str, ...]
    state: Literal["supported", "eol", "unknown"] = "unknown"
    until: str = ""
    told: str = ""
    newest: str = ""
    behind: tuple[str, ...] = ()

    @property
    def mood(self) -> Mood:
        """How it looks."""
        return {"supported": "good", "eol": "bad", "unknown": "warn"}[self.state]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Records:
    """Where pages look beyond the board: the journal, the repository, the calendar of releases.

    `runs(limit, jail)` gives runs newest first, `run(number)` one of them, `commit(sha)` what a commit is and
    changed, `releases(jails)` what is known of their releases. None of them may raise or write.
    """

    runs: Callable[[int, str | None], Sequence[RunRecord]] = lambda _limit, _jail: ()
    run: Callable[[int], RunRecord | None] = lambda _number: None
    commit: Callable[[str], Shown | None] = lambda _sha: None
    releases: Callable[[Sequence[Jail]], Sequence[Release]] = lambda _jails: ()


@dataclass(frozen=True, slots=True)
class Headline:
    """The one sentence an operator came for, and how it looks."""

    mood: Mood
    title: str
    detail: str


def headline(status: Status) -> Headline:
    """How the host is, worst first."""
    worst = Counter(jail.condition for jail in status.jails)
    stalled, held, busy = worst["Stalled"], worst["Held"], worst["Progressing"]
    jails = f"{len(status.jails)} jail{'' if len(status.jails) == 1 else 's'}"
    if status.suspended:
        return Headline("idle", "Suspended", status.suspended)
    if status.commit is None:
        return _without_commit(status)
    if status.phase == "stalled" or stalled:
        names = _some(jail.name for jail in status.jails if jail.condition == "Stalled")
        return Headline("bad", "Needs attention", f"{names} cannot be converged." if names else "The last run failed.")
    if status.refused is not None:
        return Headline("warn", "Commit refused", "The host stays as the last good commit says.")
    if status.approval is not None:
        return Headline("warn", "Waiting for approval", "A plan is made and waits for a word.")
    if status.phase == "waiting":
        return _at_rest(status, held, busy, jails)
    return Headline("busy", PHASES[status.phase], f"{jails} on this host.")


def _without_commit(status: Status) -> Headline:
    """Before the first commit nothing is said of jails, which nobody has looked at."""
    if status.refused is not None:
        return Headline("bad", "No commit can be applied", "The newest one is refused, and no other is in force.")
    if status.approval is not None:
        return Headline("warn", "Waiting for approval", "The plan of the first commit is made and waits for a word.")
    if status.problems:
        return Headline("bad", "No commit yet", status.problems[0].detail or status.problems[0].summary)
    return Headline("busy", PHASES[status.phase], "No commit is in force yet.")


def _at_rest(status: Status, held: int, busy: int, jails: str) -> Headline:
    if held:
        names = _some(jail.name for jail in status.jails if jail.condition == "Held")
        return Headline("warn", "Held back", f"{names}: see why below.")
    kept = any(problem.severity == "error" for problem in status.cautions)
    if busy or kept or status.problems or not all(source.healthy for source in status.sources):
        return Headline("warn", "Converged, with remarks", f"{jails}; see below.")
    if not status.jails:
        return Headline("good", "Converged", "The specs name no jail for this host.")
    return Headline("good", "Converged", f"{jails}, all as their specs say.")


def _some(names: Iterable[str]) -> str:
    known = sorted(names)
    return ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of jails: what was asked for, and how many there are. `more` are left out until asked for."""

    rows: tuple[Jail, ...]
    total: int
    page: int
    pages: int
    text: str
    condition: str
    more: int = 0


def listing(jails: Sequence[Jail], query: Mapping[str, str]) -> Listing:
    """The jails that the query asks for: `q` stands in the name, `is` is the condition, `page` counts from 1."""
    text, condition = query.get("q", "")[:80], query.get("is", "")
    found = [j for j in jails if text.lower() in j.name.lower() and condition in ("", j.condition)]
    found.sort(key=lambda jail: (_ORDER[jail.condition], jail.name))
    if len(found) > FEW and not (text or condition or "page" in query):
        shown = found[: min(ROWS, max(SHORT, sum(jail.condition != "Ready" for jail in found)))]
        return Listing(tuple(shown), len(found), 1, 1, "", "", len(found) - len(shown))
    pages = max(1, -(-len(found) // ROWS))
    asked = query.get("page", "1")
    page = min(pages, max(1, int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1))
    return Listing(tuple(found[(page - 1) * ROWS : page * ROWS]), len(found), page, pages, text, condition)


def tallies(jails: Iterable[Jail]) -> list[tuple[str, Mood, int]]:
    """How many jails are in each condition, worst first; conditions without jails are left out."""
    counted = Counter(jail.condition for jail in jails)
    return [(name, mood, counted[name]) for name, mood in CONDITIONS.items() if counted[name]]  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a plan does to one jail; the empty name is what jails share."""

    name: str
    steps: tuple[Mapping[str, Any], ...]
    notes: tuple[Mapping[str, Any], ...]


def scopes(document: Mapping[str, Any]) -> tuple[list[Scope], int]:
    """A plan's steps and notes by jail, and how many steps were left out for their number."""
    every = [one for one in document.get("steps", ()) if isinstance(one, Mapping)]
    notes = [one for one in document.get("notes", ()) if isinstance(one, Mapping)][:STEPS]
    steps = every[:STEPS]
    names = sorted({str(one.get("scope", "")) for one in (*steps, *notes)})
    made = [
        Scope(name, *(tuple(o for o in group if o.get("scope") == name) for group in (steps, notes))) for name in names
    ]
    return made, len(every) - len(steps)


def mood(word: str | None) -> Mood:
    """How an outcome or a condition looks."""
    if word is None:
        return "busy"
    return CONDITIONS.get(word) or _OUTCOMES.get(word, "warn")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff: what it is, and its text."""

    kind: Literal["file", "hunk", "add", "del", "same"]
    text: str


def diff_lines(text: str) -> list[Line]:
    """A unified diff, line by line."""
    found: list[Line] = []
    head = False
    for line in text.splitlines():
        if line.startswith("diff "):
            head = True
        elif line.startswith("@@"):
            head = False
            found.append(Line("hunk", line))
            continue
        if head:
            found.append(Line("file", line))
        else:
            kinds: dict[str, Literal["add", "del"]] = {"+": "add", "-": "del"}
            found.append(Line(kinds.get(line[:1], "same"), line))
    return found
