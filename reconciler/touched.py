"""Planning what was touched since a large fleet was at rest, and nothing else.

An agent that is told of one changed spec among ten thousand need not think about the others: what they want and what
the host shows of them is as it was when there was nothing to do. Here the jails are found whose spec or whose share of
the observation is another one, and planned with the functions of every plan, beside what all jails share. Whatever
reaches further (a network, a release, a dependency that changed) is not judged here: then everything is planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.kind import Desired, Place
from reconciler.kinds.dataset import jail_of
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.recorded import unchanged
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import DatasetRow, Host, JailRow, MountRow, Observation, Observed, Request
from reconciler.model.value import Ref, Resource, World
from reconciler.reconcile import Decided, Options, Session
from reconciler.renderings import Renderings
from reconciler.runtime import HELPER, SCRATCH
from reconciler.spec.document import Jail
from reconciler.spec.edited import FEW, Edited, edited
from reconciler.spec.lock import Lock
from reconciler.spec.specset import Sourced, SpecSet
from reconciler.spool import parted, sums
from reconciler.world import observed_world, wanted_world

_FOLDERS = frozenset({"jails", "live", "state", "volumes"})
Share = list[Any]
"""What the host shows of one jail: rows of every listing, and rules."""


@dataclass(frozen=True, slots=True)
class Resting:
    """A fleet when there was nothing to do and nothing to say: its specs, and what the host showed of each jail.

    `raw` is the answer itself, without files, which have a digest for each jail in `sums` (under "" those of no jail);
    `rest` is what it shows of no jail; `common` is what jails want together; `asked` is what their Makejails read.
    """

    specs: SpecSet
    lock: Lock
    request: Request
    raw: Observation = field(compare=False)
    observed: Observed
    rest: Share
    sums: Mapping[str, bytes]
    common: Mapping[Ref, Resource]
    asked: Mapping[str, str]


@dataclass
class Memory:
    """The fleet as it was when an agent last found all of it at rest."""

    resting: Resting | None = None
    edited: Edited | None = None
    """What was last found edited since then."""

    def learn(self, session: Session, decided: Decided, raw: Observation) -> None:
        """Remember a whole plan that found nothing to do; `raw` is what it stood on."""
        if raw.digest == session.observation.digest and (resting := _resting(session, decided, raw)) is not None:
            self.keep(resting)

    def keep(self, resting: Resting) -> None:
        """From here on this is what others are held against."""
        self.resting, self.edited = resting, None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be planned. `observation` answers the request of the fleet at rest."""

    host: Host
    options: Options
    edited: Edited
    observation: Observation
    renderings: Renderings | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """The plan for `jails`, which are those that changed and those they depend on.

    It is the plan that `Session.decide` makes; the worlds in it have only these jails, and what all share.
    """

    session: Session
    decided: Decided
    jails: frozenset[str]


class _Few(Session):
    """A run that looks at some jails, beside what all of them want together."""

    common: Mapping[Ref, Resource]

    def worlds(self, desired: Desired) -> tuple[World, World]:
        """What is there and what is wanted. Raises _Further where these jails want of what is shared something new."""
        wanted = wanted_world(self.kinds, desired)
        if any(not one.scope and self.common.get(one.ref) != one for one in wanted.values()):
            raise _Further
        own = (one for one in wanted.values() if one.scope)
        return observed_world(self.kinds, desired.seen), World([*own, *self.common.values()])


class _Further(Exception):
    """What was touched reaches further than the jails that were touched."""


def _resting(session: Session, decided: Decided, raw: Observation) -> Resting | None:
    plan, options, specs = decided.plan, session.options, session.specs
    asked = options.only or options.retry or options.resumed or options.rebuild or options.fetched or options.waiting
    if not plan.empty or plan.notes or decided.refusals or asked or specs.warnings or len(specs.hosts) > 1:
        return None
    if session.language_warnings():
        return None
    return Resting(
        specs,
        session.lock,
        session.request,
        replace(raw, files={}),
        _without_jails(session.observed),
        [_steady(one) for one in _shares(session.place, session.observed, specs.jails.keys()).get("", [])],
        sums(session.observed.files, "jails"),
        {resource.ref: resource for resource in plan.wanted.values() if not resource.scope},
        dict(session.sources.asked),
    )


def edits(memory: Memory, options: Options) -> Edited | None:
    """What was edited since the fleet was at rest; None where that is for a whole plan to see."""
    resting = memory.resting
    if resting is None or options.waiting or options.only:
        return None
    memory.edited = edited(resting.specs, options.path, memory.edited)
    return memory.edited if memory.edited is not None and _same_sources(resting, memory.edited.specs) else None


def look(memory: Memory, asked: Asked) -> Touched | None:
    """Plan what was touched since the fleet was at rest. None where that reaches further: then all has to be planned.

    Raises HostError, Refused.
    """
    resting = memory.resting
    now = _seen_now(resting, asked.host, asked.observation) if resting is not None else None
    near = _near(asked.edited.specs, asked.edited.jails | now.moved) if now is not None else None
    if resting is None or now is None or near is None:
        return None
    session = _Few(asked.host, asked.options, replace(asked.edited.specs, jails=near), renderings=asked.renderings)
    if session.lock != resting.lock or not _asks(resting.request, session.request):
        return None
    seen = replace(asked.observation, raw=())
    session.common = resting.common
    session.__dict__.update(request=resting.request, observation=seen, _parsed=_narrow(resting, near, asked))
    try:
        decided = session.decide()
    except _Further:
        return None
    if not {step.scope for step in decided.plan.steps} <= near.keys():
        return None
    if decided.plan.empty and not decided.plan.notes and not decided.refusals:
        memory.keep(
            replace(resting, specs=asked.edited.specs, raw=replace(asked.observation, files={}), sums=now.sums)
        )
    return Touched(session, decided, frozenset(near))


def _near(specs: SpecSet, touched: frozenset[str]) -> dict[str, Sourced[Jail]] | None:
    """The jails that were touched and those that they depend on; None where they are many, or reach further."""
    names = touched or frozenset(list(specs.jails)[:1])
    if len(names) > FEW or not names or not names <= specs.jails.keys():
        return None
    names |= {name for one in names for name in specs.jails[one].raw.get("depends_on") or ()}
    near = {name: specs.jails[name] for name in sorted(names) if name in specs.jails}
    beyond = any(item.says(key) for item in near.values() for key in ("makejail", "devfs", "renamed_from"))
    return None if beyond or len(near) < len(names) else near


def _asks(held: Request, own: Request) -> bool:
    """Whether an observation that was asked for as `held` has all that is asked for."""
    same = (held.pool, held.mountpoint) == (own.pool, own.mountpoint)
    wanted = ((own.facets, held.facets), (own.parameters, held.parameters), (own.extra_pools, held.extra_pools))
    return same and all(set(one) <= set(other) for one, other in wanted)


def _same_sources(resting: Resting, specs: SpecSet) -> bool:
    """Whether the files that Makejails read are what they were, in the folder where they lie now."""
    was, now = f"{resting.specs.area}/", f"{specs.area}/"
    asked = {}
    for question, answer in resting.asked.items():
        verb, _, path = question.partition(" ")
        answer = answer.replace(was, now, 1) if verb == "realpath" and answer.startswith(was) else answer
        asked[f"{verb} {now + path[len(was) :] if path.startswith(was) else path}"] = answer
    return unchanged(asked, LocalFiles())


@dataclass(frozen=True, slots=True)
class _Now:
    """What has become of a fleet at rest: digests of each jail's files; `moved` are jails that are shown otherwise."""

    sums: Mapping[str, bytes]
    moved: frozenset[str] = frozenset()


def _seen_now(resting: Resting, host: Host, observation: Observation) -> _Now | None:
    """What is seen now; None where more than some jails is otherwise than at rest, or that is not plain to see."""
    if observation.digest == resting.raw.digest:
        return _Now(resting.sums)
    parts = host.differing(resting.raw, observation)
    if parts is None:
        return None
    held, summed = resting.sums, sums(observation.files, "jails")
    moved = {name for name in held.keys() | summed.keys() if held.get(name) != summed.get(name)}
    for part in parts:
        try:
            observed = host.parse(resting.request, part)
        except HostError:
            return None  # a name that looks like the end of a record: read whole it is understood
        moved |= _shares(_place(resting), observed, resting.specs.jails.keys()).keys()
    return None if "" in moved else _Now(summed, frozenset(moved))


def _place(resting: Resting) -> Place:
    hostid = resting.observed.facts.hostid if resting.observed.facts else ""
    return Place(resting.request.pool, resting.request.mountpoint, hostid)


def _steady(one: Any) -> Any:
    """A row without what changes by itself: no digest of an answer has it either, but for whether there are holds."""
    if not isinstance(one, DatasetRow):
        return one
    return replace(one, holds=min(one.holds, 1), written=0, used=0, available=0)


def _without_jails(observed: Observed) -> Observed:
    return replace(observed, datasets=(), jails=(), mounts=(), limits=frozenset(), files={})


def _shares(place: Place, observed: Observed, jails: Collection[str]) -> dict[str, Share]:
    """What an observation shows of each jail, in its order; under "" what is no jail's, and running jails of others."""
    shares: dict[str, Share] = defaultdict(list)
    for row in observed.datasets:
        path = place.path(row.name)
        shares[jail_of(f"//{row.name}" if path is None else path)].append(row)
    for running in observed.jails:
        name = running.name.removeprefix(HELPER)
        shares[name if name in jails else ""].append(running)
    for mount in observed.mounts:
        folder, _, rest = mount.target.removeprefix(f"{place.mountpoint}/").partition("/")
        inside = mount.target.startswith(f"{place.mountpoint}/") and folder in _FOLDERS
        shares[rest.partition("/")[0].removeprefix(SCRATCH) if inside else ""].append(mount)
    for rule in sorted(observed.limits):
        words = rule.split(":", 2)
        shares[words[1] if words[0] == "jail" and len(words) == 3 else ""].append(rule)
    return dict(shares)


def _narrow(resting: Resting, jails: Collection[str], asked: Asked) -> Observed:
    """What the host shows of some jails, and of what is no jail's. Raises HostError.

    Datasets are read anew: a digest that is the same says nothing of sizes, and those tell what a jail wrote.
    """
    observed = asked.host.parse(resting.request, asked.host.concerning(asked.observation, jails))
    shares = _shares(_place(resting), observed, resting.specs.jails.keys())
    every = [*resting.rest, *(one for name in jails for one in shares.get(name, ()))]
    names = {one.name for one in every if isinstance(one, DatasetRow)}
    return replace(
        resting.observed,
        datasets=asked.host.rows(asked.observation, names.__contains__),
        jails=tuple(one for one in every if isinstance(one, JailRow)),
        mounts=tuple(one for one in every if isinstance(one, MountRow)),
        limits=frozenset(one for one in every if isinstance(one, str)),
        files=parted(asked.observation.files, "jails", dict.fromkeys(jails, 0), 1)[0],
    )
