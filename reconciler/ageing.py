"""What the host's policy says of old and of too new releases, for jails of which a new root is to be made now.

A jail that runs is left as it is when its release grows old: `reconcile status` and `reconcile release list` say
so. Plans ask no network: what is known of a release is its last verified tag, or the table of `releases.eol`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from reconciler.allocate import Allocation
from reconciler.cache import Cache, default_folder
from reconciler.conditions import unconnected, unkept, unpinned
from reconciler.kind import Seen
from reconciler.model.action import Note
from reconciler.model.diagnostic import FetchError, Span
from reconciler.model.ports import Facts
from reconciler.model.ports import Host as Ports
from reconciler.packages.store import Store
from reconciler.releases.eol import Support, support
from reconciler.releases.tag import Tags, Updates
from reconciler.releases.version import parse_version
from reconciler.spec.document import Host
from reconciler.spec.select import Selected
from reconciler.today import today

Known = Callable[[str], Support]


def doubts(
    specs: Selected, allocated: Mapping[str, Allocation], seen: Seen, offline: Ports | None = None
) -> tuple[Note, ...]:
    """Everything that policy warns of or (failing) denies, of what would be built now.

    `offline` is the host where nothing may be downloaded: its store is looked into, if that decides something.
    """
    facts = seen.observed.facts
    aged = old_or_new(specs, allocated, seen, known(specs.host, facts)) if facts is not None else ()
    lacking: Iterable[Note] = ()
    if offline is not None:
        stored = cache(Store(offline, seen.place.pool, seen.place.mountpoint).all)
        lacking = unkept(specs, allocated, seen, stored)
    alone = unconnected(specs, allocated, seen, facts) if facts is not None else ()
    return (*unpinned(specs, allocated, seen).values(), *aged, *lacking, *alone)


def known(host: Host, facts: Facts | None) -> Known:
    """What is known of a release's support here and today, without asking anybody."""
    prints = tuple(digest.removeprefix("sha256:") for digest in host.updates.key_prints)
    tags = Tags(Cache(default_folder(os.environ)), Updates(host.updates.server, prints))
    day = today()

    @cache
    def ask(release: str) -> Support:
        return support(release, day, tags.known(release, facts.machine if facts else ""))

    return ask


def old_or_new(specs: Selected, allocated: Mapping[str, Allocation], seen: Seen, support_of: Known) -> Iterator[Note]:
    """Notes about releases past their end of life or newer than the host, for jails that get a new root. Pure."""
    policy, facts = specs.host.policy, seen.observed.facts
    for name, allocation in allocated.items():
        if name not in specs.jails or f"jails/{allocation.root.name}@sealed" in seen.rows:
            continue
        release, where = allocation.chain.release.name.rpartition("-p")[0], specs.jails[name].place(("release",))
        found = support_of(release)
        if found.state == "eol" and policy.eol != "allow":
            text = f"{release} is past its end of life ({found}): nobody fixes what is found in it."
            yield _note(name, "release-eol", text, "policy.eol", policy.eol, where)
        if facts is not None and policy.newer_than_host != "allow" and _newer(release, facts.osrelease):
            text = f"{release} is newer than the host's {facts.osrelease}, whose kernel may lack what it needs."
            yield _note(name, "release-newer-than-host", text, "policy.newer_than_host", policy.newer_than_host, where)


def _note(name: str, code: str, text: str, field: str, word: str, where: Span | None) -> Note:
    deny = word == "deny"
    return Note(name, code, f"{text} {field} is deny." if deny else text, where, failing=deny)


def _newer(release: str, host: str) -> bool:
    """By numbers; a name without any is not judged."""
    try:
        return parse_version(release) > parse_version(parse_version(host).release)
    except FetchError:
        return False
