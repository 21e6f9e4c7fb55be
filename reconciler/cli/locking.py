"""What `reconcile lock` does: find what specs read from the network, ask the host's pkg, compare, write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.build.layers import newest as layer_of
from reconciler.build.made import PROPERTY
from reconciler.build.recipe import ApplyBuilt
from reconciler.cli import session, show
from reconciler.cli.mirrors import offered, patience_of
from reconciler.cli.paper import many, paper
from reconciler.cli.pinning import find
from reconciler.makejail.pinned import forget
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.reconcile import Options, Session
from reconciler.spec.files import beside
from reconciler.spec.load import load
from reconciler.spec.lock import Lock, Pin, PinnedPackage, load_lock, parse_lock, render_lock, write_lock

UNPINNED = 2
MOST = 100
"""Packages that one pattern may mean."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks. With `update` the pins that `names` names are moved, or all of them.

    With `commands`, those that INCLUDE cmd+ names may be run.
    """

    options: Options
    host: str
    update: bool = False
    names: tuple[str, ...] = ()
    commands: bool = False


def lock(asked: Asked) -> int:
    """Pin what is missing, move what is to be moved, write, and say what moved. Raises SpecError, HostError."""
    before = load_lock(asked.options.path)
    kept = _without(before, asked) if asked.update else before
    run = Session(session.changing(asked.host), asked.options, load(asked.options.path))
    found = find(run, kept, learn=True, commands=asked.commands)
    packages = dict(before.packages)
    for abi, wanted in found.wanted.items():
        packages[abi] = _resolved(run, abi, wanted, kept.packages.get(abi, {}))
    lacking = sorted(found.levels.keys() - kept.releases.keys())
    releases = {**before.releases, **newest(run, lacking, before.releases)}
    used = found.pinned.used
    after = replace(
        before,
        git={key: value for key, value in found.pinned.git.items() if ("git", key) in used},
        files={key: value for key, value in found.pinned.files.items() if ("files", key) in used},
        commands={key: value for key, value in found.pinned.commands.items() if ("commands", key) in used},
        packages=packages,
        releases=releases,
    )
    run.know(lock=after)
    after = replace(after, built=_built(run, kept.built))
    parse_lock(render_lock(after).encode(), "reconcile.lock")  # what a stranger named must be readable again
    if after != before:
        write_lock(asked.options.path, after)
    forget(beside(asked.options.path), after.commands.values())
    _told(before, after)
    show.show(found.open)
    return 0


def _built(run: Session, kept: Mapping[str, PinnedPackage]) -> Mapping[str, PinnedPackage]:
    """The jail packages that the specs have built: as they were pinned, else as the host has them.

    One that was not built yet is pinned by the next call.
    """
    if not any(package.doc.makejail is not None for package in run.selected.packages.values()):
        return {}
    pins: dict[str, PinnedPackage] = {}
    rows = run.seen.observed.datasets
    for allocation in run.allocated.values():
        for layer in allocation.chain.layers:
            if isinstance(layer.recipe, ApplyBuilt):
                row = layer_of(rows, layer.recipe.tip)
                made = row.user.get(PROPERTY, "") if row is not None else ""
                known = kept.get(layer.recipe.name)
                if known is not None and (known.inputs == layer.recipe.tip or not made):
                    pins[layer.recipe.name] = known
                elif made:
                    pins[layer.recipe.name] = PinnedPackage(layer.recipe.tip, made)
    return pins


def check(asked: Asked) -> int:
    """Say what is not pinned; 2 when there is something. Raises SpecError for anything else that is wrong."""
    held = load_lock(asked.options.path)
    run = Session(session.reading(asked.host), asked.options, load(asked.options.path))
    try:
        found = find(run, held, learn=False)
    except SpecError as error:
        if any(one.code != "include-unpinned" for one in error.diagnostics):
            raise
        show.show(error.diagnostics)
        return UNPINNED
    loose = list(found.open)
    for abi, wanted in found.wanted.items():
        loose += [problem for name, problem in wanted.items() if held.closure(abi, [name]) is None]
    loose += [problem for name, problem in found.levels.items() if name not in held.releases]
    show.show(loose)
    if not loose:
        print(f"Everything from the network is pinned: {many(len(held.facts()), 'thing')}.")
    return UNPINNED if loose else 0


def _without(before: Lock, asked: Asked) -> Lock:
    """The lock without what is to move; packages go with all that they need. Raises SpecError for unknown names.

    What commands printed moves only where they may be run.
    """
    if not asked.names:
        return Lock(commands={} if asked.commands else before.commands)
    names = set(asked.names)
    git = {key: value for key, value in before.git.items() if not {key, key.partition("#")[0]} & names}
    files = {key: value for key, value in before.files.items() if key not in names}
    known_git = (key.partition("#")[0] for key in before.git)
    commands = {key: value for key, value in before.commands.items() if key not in names}
    packages, known = {}, {*before.built, *before.files, *before.git, *before.releases, *known_git, *before.commands}
    for abi, pins in before.packages.items():
        here = {*pins, *(word for pin in pins.values() for word in pin.named)}
        known |= here
        moved = before.closure(abi, names & here) or {}
        packages[abi] = {name: pin for name, pin in pins.items() if name not in {*moved, *names}}
    if unknown := sorted(names - known):
        detail = f"reconcile.lock pins nothing by the name of {', '.join(unknown)}."
        raise SpecError(Diagnostic("lock-unknown-name", "The lock has no such name", detail, "reconcile lock"))
    built = {name: pin for name, pin in before.built.items() if name not in names}
    releases = {name: level for name, level in before.releases.items() if name not in names}
    return Lock(git, files, packages, releases, built, commands)


def newest(run: Session, releases: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """The newest patch level of each, by the signed tag of its update server; never below one that is `known`.

    Raises FetchError, DownloadError.
    """
    wanted = list(releases)
    if not wanted:
        return {}
    patience = patience_of(run.document, offline=False)
    with offered("", run.host.url, run.document, patience) as offer:
        site = session.site(run, offer=offer)
        return {name: site.tag(name, known.get(name, 0)).tag.patch for name in wanted}


def _resolved(run: Session, abi: str, wanted: Mapping[str, Diagnostic], kept: Mapping[str, Pin]) -> Mapping[str, Pin]:
    """Pins of the packages and of all that they need, as they were where they were. Raises SpecError, HostError."""
    pins = dict(kept)
    lacking = [name for name in wanted if Lock(packages={abi: pins}).closure(abi, [name]) is None]
    if lacking:
        offers = dict(run.host.packages.offered(sorted(lacking), abi=abi))
        words = run.host.packages.meant(sorted(set(lacking) - offers.keys()), abi=abi)
        _narrow(words, wanted)
        if more := {name for names in words.values() for name in names} - offers.keys():
            offers |= run.host.packages.offered(sorted(more), abi=abi)
        for name, offer in offers.items():
            pins.setdefault(name, Pin(offer.version, offer.checksum, offer.repository, offer.needs))
        for word, names in words.items():
            pins |= {name: replace(pins[name], named=(*pins[name].named, word)) for name in names if name in pins}
    pins = {name: replace(pin, named=tuple(sorted({*pin.named} & wanted.keys()))) for name, pin in pins.items()}
    whole = Lock(packages={abi: pins})
    missing = [name for name in wanted if whole.closure(abi, [name]) is None]
    if missing:
        raise SpecError(
            Diagnostic(
                "lock-package-missing",
                "No repository has a package",
                f"No repository of {run.host.url} has {name} for {abi}, or something that it needs.",
                f"pkg search {name}",
                wanted[name].span,
            )
            for name in missing
        )
    return whole.closure(abi, wanted) or {}


def _narrow(words: Mapping[str, Sequence[str]], wanted: Mapping[str, Diagnostic]) -> None:
    """A pattern is to name a few packages. Raises SpecError (`lock-pattern-wide`)."""
    if wide := [word for word, names in words.items() if len(names) > MOST]:
        summary, hint = "A pattern means too many packages", "Name the packages, or write a narrower pattern."
        raise SpecError(
            Diagnostic(
                "lock-pattern-wide",
                summary,
                f"{word} means {many(len(words[word]), 'package')} of the catalogue; a lock takes at most {MOST}.",
                hint,
                wanted[word].span,
            )
            for word in wide
        )


def _told(before: Lock, after: Lock) -> None:
    """What was added, moved and dropped."""
    old, new, on = before.facts(), after.facts(), paper()
    for key in sorted(old.keys() | new.keys()):
        where, name = key
        if key not in old:
            print(on.ink(f"+ {where}  {name}  {_short(new[key])}", "green"))
        elif key not in new:
            print(on.ink(f"- {where}  {name}  {_short(old[key])}", "red"))
        elif old[key] != new[key]:
            print(on.ink(f"~ {where}  {name}  {_short(old[key])} → {_short(new[key])}", "yellow"))
    if old == new:
        print(f"Nothing moved: {many(len(new), 'thing')} pinned.")
    else:
        print(f"\nreconcile.lock pins {many(len(new), 'thing')}.")


def _short(fact: str) -> str:
    """Digests by their first digits."""
    return " ".join(word[:12] if len(word) >= 40 else word for word in fact.split())
