"""How each jail is: what its spec says, what was recorded when it was built, and what the host shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.cli.record import journal
from reconciler.hosts.open import identity
from reconciler.kind import Seen
from reconciler.model.diagnostic import HostError
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Session
from reconciler.releases.version import read_userland_version

_RUNS = 200


@dataclass(frozen=True, slots=True)
class Status:
    """One jail. "" and 0 mean unknown or none; `off` says whether somebody should look at it.

    `release_declared` is what the spec asks for, `release_recorded` what the root was made from, and
    `release_observed` what the root itself says, where it was looked at. `newest` is the newest patch level that is
    known of, `behind` how many levels the jail lacks (None: unknown); `support` says whether its release still gets
    patches (supported, eol, unknown), and `until` (YYYY-MM-DD) for how long.
    """

    name: str
    declared: str
    observed: str
    release_declared: str
    release_recorded: str
    release_observed: str
    live: int
    good: int
    changed: str
    notes: tuple[str, ...]
    off: bool
    newest: str = ""
    behind: int | None = None
    support: str = "unknown"
    until: str = ""


def overview(session: Session, decided: Decided, only: str = "", *, look: bool = False) -> list[Status]:
    """Every jail of the specs or of the pool, by name. Looks into the root of the jail named `only`, or of all."""
    rows = session.seen.rows
    there = {p.partition("/")[2] for p in rows if p.startswith("jails/") and p.count("/") == 1 and "@" not in p}
    names = sorted(there | decided.desired.specs.jails.keys())
    changed = _changed(session.host.url)
    return [
        _one(session, decided, name, changed.get(name, ""), look=look or bool(only))
        for name in names
        if not only or name == only
    ]


def _one(session: Session, decided: Decided, name: str, changed: str, *, look: bool) -> Status:
    seen, specs = session.seen, decided.desired.specs.jails
    row = seen.rows.get(f"jails/{name}")
    user = row.user if row else {}
    declared = specs[name].doc if name in specs else None
    running = Ref("jail", name) in decided.plan.observed
    observed = "running" if running else "stopped" if row else "absent"
    live = _live(session, name)
    good = int(user["good"]) if user.get("good", "").isdigit() else 0
    notes = list(_notes(decided, name))
    if pruned := user.get("pruned", ""):
        notes.append(f"pruned on {pruned}; its data stays: reconcile undelete {name}, or reconcile destroy {name}")
    elif declared is None and not notes:
        notes.append("in no spec: reconcile plan says what becomes of it")
    if skipped := _sealed(seen, name, live).get("skipped", ""):
        notes.append(f"changed by hand, and so not patched: {skipped}")
    if live and good and live != good and not any(note.startswith("held") for note in notes):
        notes.append(f"root {live} has not passed its check yet; the last good one is {good}")
    off = declared is not None and (bool(notes) or observed != declared.state)
    return Status(
        name,
        declared.state if declared else "",
        observed,
        _declared(decided, name),
        recorded(seen, f"jails/{name}/{live}"),
        _look(session, name) if look and running else "",
        live,
        good,
        changed,
        tuple(notes),
        off or (declared is None and running),
    )


def _declared(decided: Decided, name: str) -> str:
    """What the spec asks for; `latest` as the number that it stands for, where it stands for one."""
    sourced, allocation = decided.desired.specs.jails.get(name), decided.desired.allocated.get(name)
    if sourced is None:
        return ""
    if allocation is not None and sourced.doc.patch_level == "latest":
        return f"{allocation.chain.release.name} (latest)"
    return f"{sourced.doc.release}-p{sourced.doc.patch_level}".replace("-platest", " latest")


def _notes(decided: Decided, name: str) -> Iterable[str]:
    yield from (note.text for note in decided.plan.notes if note.scope == name)
    allocation = decided.desired.allocated.get(name)
    told = any(note.scope == name and note.code in ("stopped-by-operator", "root-held") for note in decided.plan.notes)
    if allocation is not None and allocation.stopped_by_operator and not told:
        yield f"stopped by the operator: service reconciler_jails start {name}"
    count = sum(step.scope == name for step in decided.plan.steps)
    if count and name in decided.desired.specs.jails:
        yield f"differs from its spec ({count} step{'' if count == 1 else 's'}): reconcile plan --only {name}"


def _live(session: Session, name: str) -> int:
    from reconciler.kinds.config import generation

    return generation(session.seen.observed.files.get(f"jails/{name}/fstab"), session.place, name)


def _sealed(seen: Seen, name: str, live: int) -> Mapping[str, str]:
    row = seen.rows.get(f"jails/{name}/{live}@sealed")
    return row.user if row is not None else {}


def recorded(seen: Seen, path: str) -> str:
    """The release that a root was made from, by the origins of its dataset and layers; "" when unknown.

    A root that is a copy, and patched where it is, has that written on it.
    """
    sealed = seen.rows.get(f"{path}@sealed")
    if sealed is not None and sealed.user.get("chain") and sealed.user.get("patch_level", "").isdigit():
        user = sealed.user
        return f"{user.get('release', '')}-p{user['patch_level']}"
    known: set[str] = set()
    while path in seen.rows and path not in known:
        known.add(path)
        origin = seen.place.path(seen.rows[path].origin.partition("@")[0]) if seen.rows[path].origin else None
        if origin is None:
            return ""
        if origin.startswith("releases/"):
            return origin.removeprefix("releases/")
        path = origin
    return ""


def _look(session: Session, name: str) -> str:
    """The release that the running root itself says it is: read as text, never run."""
    try:
        text = session.host.files.read(f"{session.place.folder(f'live/{name}')}/bin/freebsd-version")
        if text is None:
            return "unknown: no bin/freebsd-version"
        version = read_userland_version(text)
    except HostError as error:
        return f"unknown: {error.diagnostics[0].code}"
    return f"{version.release}-p{version.level}"


def _changed(url: str) -> dict[str, str]:
    """When a step last changed each jail, by the journal of this machine."""
    found: dict[str, str] = {}
    opened = journal()
    for run in opened.history(_RUNS, host=identity(url)):
        for step in run.steps:
            if step.outcome == "applied" and step.scope not in found:
                found[step.scope] = datetime.fromtimestamp(step.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    opened.close()
    return found
