"""Whether there is nothing to do for a large fleet, asked a few hundred jails at a time.

Two worlds of ten thousand jails are most of the memory of a plan, and nearly every plan finds that they agree.
Here they are made for some jails at a time and let go of again. The first thing that is not as it should be
ends it: then everything is planned as ever, since order and reasons need both worlds whole. So nothing is
decided here that `Session.decide` would decide otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler import conditions
from reconciler.ageing import doubts
from reconciler.kind import Desired, Seen
from reconciler.kinds.dataset import jail_of, renames
from reconciler.model.action import Plan
from reconciler.model.ports import DatasetRow, JailRow, MountRow
from reconciler.model.value import Ref, Resource, World
from reconciler.plan import Limits, make_plan
from reconciler.runtime import HELPER, SCRATCH
from reconciler.spool import parted

if TYPE_CHECKING:
    from reconciler.reconcile import Session

PART = 500
"""Jails at a time. A fleet that is no larger is planned at once."""
FIRST = 25
"""Jails of the first part: those that were edited last, whose difference ends it before the others are made."""


@dataclass
class _Share:
    """What an observation shows of some jails."""

    rows: dict[str, DatasetRow] = field(default_factory=dict)
    jails: list[JailRow] = field(default_factory=list)
    mounts: list[MountRow] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class _Common:
    """What jails of different parts want together, and who claims what."""

    wanted: dict[Ref, Resource] = field(default_factory=dict)
    claims: dict[str, Ref] = field(default_factory=dict)

    def agrees(self, resources: Iterable[Resource]) -> bool:
        """Add what a part wants; False where two parts want one thing otherwise, or claim it twice."""
        for resource in resources:
            if not resource.scope and self.wanted.setdefault(resource.ref, resource) != resource:
                return False
            for claim in resource.claims():
                if self.claims.setdefault(claim, resource.ref) != resource.ref:
                    return False
        return True


def at_rest(session: Session, size: int = PART) -> Plan | None:
    """An empty plan when all is as the specs say and nothing is to be noted; else None.

    Its worlds are empty, but for what jails want together.

    None as well for fleets that are not larger than a part of `size` jails. Raises what `Session.decide` raises.
    """
    jails = session.selected.jails
    if len(jails) <= size or session.options.only or renames(session.selected, session.seen):
        return None
    common = _Common()
    # What was edited last is looked at first: where something differs it is likely there.
    names = sorted(jails, key=lambda name: (-jails[name].source.modified, name))
    first = min(FIRST, size)
    parts = [tuple(names[:first]), *(tuple(names[at : at + size]) for at in range(first, len(names), size))]
    shares = _shares(session.seen, parts)
    for part in (*parts, ()):
        seen = _seen(session, shares.pop())
        narrowed = session.narrowed(replace(session.selected, jails={name: jails[name] for name in part}), seen)
        if not _settled(narrowed, common):
            return None
        # Kept until here: where the first part differs everything is planned, and needs the index whole.
        session.forget_seen()
        for name in part:
            jails[name].forget()
    return Plan((), (), {}, World(common.wanted.values()), World())


def _settled(session: Session, common: _Common) -> bool:
    """Whether one part needs nothing. The last has no jails of the specs: it has what all share, and the rest."""
    specs, seen = session.selected, session.seen
    last = not specs.jails
    if session.skipped() or conditions.unmounted(specs, seen):
        return False
    if doubts(specs, session.allocated, seen):
        return False
    desired = Desired(specs, seen, session.allocated, session.source(), session.options.adopt_source)
    kinds = session.kinds.values()
    wants = [resource for kind in kinds for resource in kind.want(desired)]
    if not common.agrees(wants):
        return False
    if last:
        wants = [*(r for r in wants if r.scope), *common.wanted.values()]
    wanted = World(r for r in wants if last or r.scope)
    observed = World(r for kind in kinds for r in kind.have(seen) if last or r.scope)
    plan = make_plan(session.kinds, observed, wanted, desired, Limits(prune=session.may_prune()))
    return plan.empty and not plan.notes


def _seen(session: Session, share: _Share) -> Seen:
    observed = replace(
        session.observed,
        jails=tuple(share.jails),
        mounts=tuple(share.mounts),
        limits=frozenset(share.limits),
        files=share.files,
    )
    return Seen(session.place, observed, share.rows)


def _shares(seen: Seen, parts: list[tuple[str, ...]]) -> list[_Share]:
    """What is left beside the parts, and before it what each may see, the first part's at the end.

    Datasets that are no jail's are seen by all of them.
    """
    number = {name: at for at, part in enumerate(parts) for name in part}
    shares = [_Share(files=files) for files in parted(seen.observed.files, "jails", number, len(parts))]
    live = seen.place.folder("live/")
    for path, row in seen.rows.items():
        jail = jail_of(path)
        for share in [shares[number.get(jail, -1)]] if jail else shares:
            share.rows[path] = row
    for mount in seen.observed.mounts:
        jail = mount.target[len(live) :].partition("/")[0] if mount.target.startswith(live) else ""
        jail = jail.removeprefix(SCRATCH)
        shares[number.get(jail, -1)].mounts.append(mount)
    for running in seen.observed.jails:
        at = number.get(running.name.removeprefix(HELPER), -1)
        shares[at].jails.append(running)
        if at >= 0 and running.path != live + running.name:
            shares[-1].jails.append(running)
    for rule in seen.observed.limits:
        words = rule.split(":", 2)
        shares[number.get(words[1], -1) if words[0] == "jail" and len(words) == 3 else -1].limits.append(rule)
    return shares[::-1]
