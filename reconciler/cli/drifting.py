"""What differs from the specs although they have not changed since the last good apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.diff import Difference, changed_fields, diff
from reconciler.losses import hidden, written
from reconciler.model.diagnostic import Span
from reconciler.model.value import Resource, World
from reconciler.reconcile import Decided, Session
from reconciler.spec.document import Jail
from reconciler.spec.specset import Sourced


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that moved: its fields as (name, as the specs say, as the host shows); "" is absent."""

    scope: str
    address: str
    summary: str
    fields: tuple[tuple[str, str, str], ...]
    span: Span | None


def settled(decided: Decided) -> frozenset[str]:
    """Jails whose last good inputs are those of the specs now."""
    wanted, observed = decided.plan.wanted, decided.plan.observed
    return frozenset(r.name for ref, r in wanted.items() if ref.kind == "verdict" and observed.get(ref) == r)


def drift(session: Session, decided: Decided) -> list[Drift]:
    """Every difference of a settled jail, and of what jails share once all of them are settled."""
    scopes = set(settled(decided))
    if scopes >= decided.desired.specs.jails.keys():
        scopes.add("")
    found = [d for d in _differences(session, decided) if _subject(d).scope in scopes]
    moved = {d.ref for d in found if d.before is None or d.after is None}
    return [_drift(session, decided, d) for d in found if _subject(d).provider() not in moved]


def deep(session: Session, decided: Decided) -> list[Drift]:
    """What running jails wrote into their roots and nobody declared. Raises HostError."""
    found = []
    for name, sourced in _asked(session, decided).items():
        paths = written(session, name)
        if paths:
            fields = tuple((f"/{path.lstrip('/')}", "as built", "changed") for path in paths)
            summary = "the jail wrote what no volume, keep or ignore covers"
            found.append(Drift(name, f"root/{name}", summary, fields, sourced.place(())))
    return found


def unseen(session: Session, decided: Decided) -> list[str]:
    """Jails whose roots were written to and are not mounted: what they wrote nobody can see now."""
    return [name for name in sorted(_asked(session, decided)) if hidden(session, name)]


def _asked(session: Session, decided: Decided) -> Mapping[str, Sourced[Jail]]:
    """The jails that are looked at."""
    only = session.options.only
    return {name: one for name, one in decided.desired.specs.jails.items() if not only or name in only}


def _differences(session: Session, decided: Decided) -> Iterator[Difference]:
    """What differs and would be put right; a layer or release that nobody needs now is no drift."""
    wanted = World(decided.plan.wanted.values())
    for difference in diff(session.kinds, World(decided.plan.observed.values()), wanted):
        if any(True for _ in session.kinds[difference.ref.kind].steps(difference.before, difference.after)):
            yield difference


def _subject(difference: Difference) -> Resource:
    subject = difference.after or difference.before
    if subject is None:
        raise ValueError("a difference has a side")
    return subject


def _drift(session: Session, decided: Decided, difference: Difference) -> Drift:
    subject = _subject(difference)
    if difference.before is None:
        summary = "it is gone"
    elif difference.after is None:
        summary = "it is there, and no spec asks for it"
    else:
        summary = "it was changed"
    fields = tuple((name, want, have) for name, have, want in changed_fields(difference))
    span = session.kinds[difference.ref.kind].span(subject, decided.desired)
    return Drift(subject.scope, str(difference.ref), summary, fields, span)
