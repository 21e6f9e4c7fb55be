"""Patch levels that only the sets of a release can tell.

A jail without a patch level runs what its release's sets hold, once these are on the host. Before that a plan
takes them for unpatched, as FreeBSD's own are; a mirror may have others. So an apply that is going to fetch a
release has its sets looked into first, and plans with what they say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace

from reconciler.cache import Cache, default_folder
from reconciler.download import Patience
from reconciler.kinds.release import FetchRelease
from reconciler.kinds.release import Release as Wanted
from reconciler.model.diagnostic import ReconcilerError
from reconciler.reconcile import Decided, Session
from reconciler.releases.fetch import fetch, level_of, plan_fetch
from reconciler.spec.document import Release


def _told(name: str) -> None:
    print(f"Looking into the sets of {name} ...", file=sys.stderr, flush=True)


def settled(
    current: Session, decided: Decided, mirror: str, patience: Patience | None, told: Callable[[str], None] = _told
) -> tuple[Session, Decided]:
    """The session and its plan with the levels that the sets hold; without `patience`, only of sets in the cache.

    `told` hears of each release whose sets are fetched.
    """
    found: dict[str, int] = {}
    for step in decided.plan.steps:
        subject = step.action.subject
        if isinstance(step.action, FetchRelease) and isinstance(subject, Wanted):
            level = _level(current, subject, mirror, patience, told)
            if level is not None and level != subject.level:
                found[subject.name.rpartition("-p")[0]] = level
    if not found:
        return current, decided
    options = replace(current.options, fetched=found)
    earlier = (current.request, current.observation)
    again = Session(current.host, options, current.specs, earlier, current.renderings)
    return again, again.decide()


def _level(
    current: Session, wanted: Wanted, mirror: str, patience: Patience | None, told: Callable[[str], None]
) -> int | None:
    name = wanted.name.rpartition("-p")[0]
    release = wanted.source if isinstance(wanted.source, Release) else Release(name=name)
    if release.mirror is None and mirror:
        release = release.model_copy(update={"mirror": mirror})
    if release.mirror is None and current.host.url.startswith("sandbox:"):
        return None  # its own small mirror has what FreeBSD's has
    cache = Cache(default_folder(os.environ))
    try:
        plan = plan_fetch(release, current.facts.machine, current.facts.arch)
        level = level_of(plan, cache)
        if level is None and patience is not None:
            told(name)
            level = fetch(plan, cache, patience=patience, unpacking=True).level
    except ReconcilerError:
        return None  # the step that needs them says why
    return level
