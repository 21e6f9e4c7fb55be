"""What `reconcile lock` does: compile with the network at hand, ask the host's pkg, compare, write."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.build.layers import newest as layer_of
from reconciler.build.made import PROPERTY
from reconciler.build.recipe import ApplyBuilt
from reconciler.cache import default_folder
from reconciler.cli import session, show
from reconciler.cli.mirrors import offered, patience_of
from reconciler.cli.paper import many, paper
from reconciler.download import fetch_bytes
from reconciler.makejail.pinned import Pinned
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.programs import compile_all, warnings_of, without_held
from reconciler.reconcile import Options, Session
from reconciler.site import MAX_FILE
from reconciler.spec.load import load
from reconciler.spec.lock import (
    Lock,
    Pin,
    PinnedPackage,
    abi_of,
    is_package_word,
    load_lock,
    parse_lock,
    render_lock,
    write_lock,
)

UNPINNED = 2
_PATCHED = re.compile(r"[0-9]+\.[0-9]+-(RELEASE|(BETA|RC)[0-9]+)")


@dataclass(frozen=True)
class Asked:
    """What the command line asks. With `update` the pins that `names` names are moved, or all of them."""

    options: Options
    host: str
    update: bool = False
    names: tuple[str, ...] = ()


@dataclass
class Found:
    """What specs read from the network. `wanted` are packages by ABI, `levels` releases at their latest level;
    `open` is what no lock can pin."""

    pinned: Pinned
    wanted: dict[str, dict[str, Diagnostic]] = field(default_factory=dict)
    levels: dict[str, Diagnostic] = field(default_factory=dict)
    open: list[Diagnostic] = field(default_factory=list)


def lock(asked: Asked) -> int:
    """Pin what is missing, move what is to be moved, write, and say what moved. Raises SpecError, HostError."""
    before = load_lock(asked.options.path)
    kept = _without(before, asked) if asked.update else before
    run = Session(session.changing(asked.host), asked.options, load(asked.options.path))
    found = _found(run, kept, learn=True)
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
        packages=packages,
        releases=releases,
        built=_built(run, kept.built),
    )
    parse_lock(render_lock(after).encode(), "reconcile.lock")  # what a stranger named must be readable again
    if after != before:
        write_lock(asked.options.path, after)
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
        found = _found(run, held, learn=False)
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
    """The lock without what is to move; packages go with all that they need. Raises SpecError for unknown names."""
    if not asked.names:
        return Lock()
    names = set(asked.names)
    git = {key: value for key, value in before.git.items() if not {key, key.partition("#")[0]} & names}
    files = {key: value for key, value in before.files.items() if key not in names}
    known_git = (key.partition("#")[0] for key in before.git)
    packages, known = {}, {*before.built, *before.files, *before.git, *before.releases, *known_git}
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
    return Lock(git, files, packages, releases, built)


def _found(run: Session, held: Lock, *, learn: bool) -> Found:
    """Compile the Makejails of every host; with `learn`, what they include is pinned on the way. Raises SpecError."""
    folder = default_folder(os.environ) / "included"
    found = Found(Pinned(dict(held.git), dict(held.files), folder, learn))
    everyone, _folders = compile_all(run.specs.jails, pinned=found.pinned)
    segments = [segment for whole in everyone.values() for program in whole.every for segment in program.segments]
    for url in (url for segment in segments for url in segment.urls):
        found.pinned.used.add(("files", url))
        if learn and url not in found.pinned.files:
            found.pinned.files[url] = hashlib.sha256(fetch_bytes(url, limit=MAX_FILE)).hexdigest()
    quiet = (without_held(program, found.pinned.files) for program in everyone.values())
    warnings = (warning for program in quiet for warning in warnings_of(program))
    found.open += dict.fromkeys(warning for warning in warnings if warning.code == "add-unpinned")
    run.know(compile_all(run.unnamed.jails, pinned=found.pinned))
    found.levels |= _floating(run)
    programs, _folders = run.compiled
    for name, sourced in run.selected.jails.items():
        program = programs.get(name)
        names = [(word, sourced.place(("pkg",))) for word in sourced.doc.pkg]
        for segment in (s for one in program.every for s in one.segments) if program is not None else ():
            names += [(word, segment.span) for word in segment.packages]
        for word, span in names:
            problem = Diagnostic(
                "package-unpinned",
                "A package is not pinned",
                f"{name} installs {word}, and the lock does not say which version is meant.",
                "reconcile lock" if is_package_word(word) else "Name the package itself: no pattern, no variable.",
                span,
                "warning",
            )
            if is_package_word(word):
                abi = abi_of(sourced.doc.release or "", run.first_facts.arch)
                found.wanted.setdefault(abi, {}).setdefault(word, problem)
            else:
                found.open.append(problem)
    return found


def _floating(run: Session) -> dict[str, Diagnostic]:
    """Releases that a jail of this host wants at their latest level, by name; only FreeBSD's own have a tag."""
    found: dict[str, Diagnostic] = {}
    for name, sourced in run.selected.jails.items():
        release = sourced.doc.release or ""
        if sourced.doc.patch_level != "latest" or not _PATCHED.fullmatch(release):
            continue
        detail = f"{name} wants the latest patch level of {release}, and the lock does not say which one is meant."
        place = sourced.place(("patch_level",))
        summary = "A patch level is not pinned"
        found.setdefault(release, Diagnostic("release-unpinned", summary, detail, "reconcile lock", place, "warning"))
    return found


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
        offers = run.host.packages.offered(sorted(lacking), abi=abi)
        words = run.host.packages.meant(sorted(set(lacking) - offers.keys()), abi=abi)
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
