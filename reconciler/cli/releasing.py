"""What `reconcile release fetch` does: choose, hold against policy, download side by side, unpack and seal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli import catalogue, report, session, show
from reconciler.cli.lock import locked
from reconciler.cli.mirrors import Offer, offered, patience_of
from reconciler.cli.progress import Progress
from reconciler.cli.record import Record
from reconciler.cli.stopping import stopping
from reconciler.guard import Consent, guard
from reconciler.kind import Desired
from reconciler.kinds.release import FetchRelease
from reconciler.kinds.release import Release as Wanted
from reconciler.kinds.release import have as releases_here
from reconciler.model.action import Plan
from reconciler.model.diagnostic import Diagnostic, FetchError, Refused, SpecError
from reconciler.model.value import Ref, World
from reconciler.plan import Limits, make_plan
from reconciler.reconcile import Decided, Options, Session
from reconciler.releases.distribution import Distribution, Release
from reconciler.releases.fetch import fetch, plan_fetch
from reconciler.releases.version import parse_version
from reconciler.spec.document import Release as Document
from reconciler.spec.document import Trust
from reconciler.spec.load import load
from reconciler.wraps import retry


@dataclass(frozen=True)
class Asked:
    """What the command line asks. No names means that somebody at a terminal chooses.

    `sets` and `trust` go before what Release documents say.
    """

    names: tuple[str, ...]
    specs: Path | None
    labels: Mapping[str, str]
    host: str
    mirror: str = ""
    sets: tuple[str, ...] = ()
    trust: Trust | None = None
    jobs: int = 4
    offline: bool = False


def run(asked: Asked) -> int:
    """Fetch and answer the exit status. Raises FetchError, SpecError, Refused, HostError."""
    current = _session(asked)
    patience = patience_of(current.document, offline=asked.offline)
    with ExitStack() as stack:
        offer = stack.enter_context(offered(asked.mirror, current.host.url, current.document, patience))
        source = catalogue.distribution(current, offer)
        names = asked.names or choose(source)
        documents = _documents(asked, current, names, offer)
        _hold_against_policy(current, source.described(documents))
        record = Record.begin(current.host.url, current.specs.digest)
        progress = Progress(record.step)
        status = "failed"
        try:
            with stopping(progress.running) as stop, progress:
                levels = _download(documents, source, progress, asked.jobs)
                stack.enter_context(locked(current.host, current.document.pool, "release fetch"))
                site = session.site(current, offer=offer, stop=stop.event, progresses=progress.moved)
                again, decided = _decide(asked, documents, levels)
                done = again.apply(decided, site, asked.jobs, progress.watch, stop.event)
            status = "done" if done.ok and len(levels) == len(documents) else "failed"
            report.failures(done, progress.tail)
        finally:
            record.end(status)
    return 0 if status == "done" else 1


def _session(asked: Asked) -> Session:
    """A session that knows the Host and Release documents, and no jails: a fetch waits for no Makejail."""
    host = session.changing(asked.host)
    if asked.specs is None and not session.DEFAULT_SPECS.exists():
        specs = session.no_specs()
    else:
        specs = replace(load(asked.specs or session.DEFAULT_SPECS), jails={}, is_folder=False)
    return Session(host, Options(asked.specs or session.DEFAULT_SPECS, asked.labels), specs)


def choose(source: Distribution) -> tuple[str, ...]:
    """Ask which releases are wanted. Raises SpecError (`release-not-named`) where nobody can be asked."""
    if not sys.stdin.isatty():
        detail = "No release was named, and standard input is no terminal, so nobody can be asked."
        raise SpecError(Diagnostic("release-not-named", "Which release is not said", detail, "reconcile release list"))
    listed = [release for release in source.releases if not release.archived]
    show.show(catalogue.once(source.problems))
    for number, release in enumerate(listed):
        marks = ", ".join([*(["EOL"] if release.eol else []), *catalogue.marks(release)])
        print(f"[{number}] {show.visible(release.name)}{f' ({marks})' if marks else ''}")
    default = preferred(listed, source.host)
    print(f"Numbers of the releases to fetch, or Enter for {listed[default].name} [{default}]: ", end="", flush=True)
    return tuple(listed[number].name for number in chosen(sys.stdin.readline(), default, len(listed)))


def preferred(listed: Sequence[Release], host: str) -> int:
    """The index of what most want: the host's own release, else the newest that is supported and not newer than it."""
    own = host.partition("-p")[0]
    ranks = [(r.eol is not True, r.newer_than_host is not True, r.name == own, n) for n, r in enumerate(listed)]
    return max(ranks)[-1]


def chosen(line: str, default: int, count: int) -> tuple[int, ...]:
    """`1 3` or `1,3` as indexes, each once; the default for an empty line. Raises SpecError (`release-not-named`)."""
    words = line.replace(",", " ").split()
    if not words and line:
        return (default,)
    if not words or any(not word.isdecimal() or int(word) >= count for word in words):
        detail = f"{line.strip()!a} is not one or more of the numbers 0 to {count - 1}. Nothing was fetched."
        raise SpecError(Diagnostic("release-not-named", "Which release is not said", detail, "reconcile release list"))
    return tuple(dict.fromkeys(int(word) for word in words))


def _documents(asked: Asked, current: Session, names: Sequence[str], offer: Offer) -> dict[str, Document]:
    """What to fetch of each release, with everything wrong said at once. Raises FetchError."""
    found: dict[str, Document] = {}
    problems: list[Diagnostic] = []
    for name in dict.fromkeys(names):
        try:
            found[name] = _document(asked, current, name, offer)
            plan_fetch(found[name], current.facts.machine, current.facts.arch)
        except FetchError as error:
            problems += error.diagnostics
    if problems:
        raise FetchError(problems)
    return found


def _packaged(name: str) -> Diagnostic:
    detail = f"{name} is made of packages (method: pkgbase), which an apply has from their repository."
    hint = "Write a jail with this release, and apply."
    return Diagnostic("pkgbase-by-apply", "A release made of packages is not fetched ahead", detail, hint)


def _document(asked: Asked, current: Session, name: str, offer: Offer) -> Document:
    if parse_version(name).patch is not None:
        detail = f"A mirror holds a release's sets, not each of its patch levels, so {name} cannot be fetched as such."
        hint = f"reconcile release fetch {parse_version(name).release}, and `patch_level:` in a jail's spec"
        raise FetchError(
            Diagnostic("patch-level-unavailable", "The mirror does not have this patch level", detail, hint)
        )
    sourced = current.selected.releases.get(name)
    document = sourced.doc if sourced is not None else Document(name=name)
    if document.method == "pkgbase":
        raise FetchError(_packaged(name))
    changes: dict[str, object] = {}
    if document.mirror is None and offer.mirror:
        changes["mirror"] = offer.mirror
    if asked.sets:
        changes["sets"] = asked.sets
    if asked.trust is not None:
        changes["trust"] = asked.trust
    return document.model_copy(update=changes)


def _hold_against_policy(current: Session, releases: Sequence[Release]) -> None:
    """Say what is old or too new. Raises Refused where the host's policy denies it."""
    policy = current.document.policy
    found = []
    for release in releases:
        if release.eol and policy.eol != "allow":
            detail = f"{release.name} is past its end of life ({release.support}): nobody fixes what is found in it."
            found.append((policy.eol, Diagnostic("release-eol", "The release is past its end of life", detail)))
        if release.newer_than_host and policy.newer_than_host != "allow":
            host = current.facts.osrelease
            detail = f"{release.name} is newer than the host's {host}, whose kernel may lack what it needs."
            summary = "The release is newer than the host"
            found.append((policy.newer_than_host, Diagnostic("release-newer-than-host", summary, detail)))
    if refused := [problem for word, problem in found if word == "deny"]:
        raise Refused(replace(problem, hint="The Host document's `policy` denies it.") for problem in refused)
    show.show([replace(problem, severity="warning") for _word, problem in found])


def _download(documents: Mapping[str, Document], source: Distribution, progress: Progress, jobs: int) -> dict[str, int]:
    """Have the sets of all in the cache; answers the levels that they state. What failed is shown, and left out."""
    levels: dict[str, int] = {}

    def one(name: str) -> None:
        plan = plan_fetch(documents[name], source.machine, source.arch)
        told = progress.moved(Ref("release", name))
        try:
            fetched = retry(lambda: fetch(plan, source.cache, progress=told, patience=source.patience, unpacking=True))
        except FetchError as error:
            progress.say(f"{name}: not fetched")
            show.show(error.diagnostics)
            return
        if fetched.level is None:
            progress.say(f"{name}: its sets are verified and in the cache; a release is made of `base` and others")
            return
        levels[name] = fetched.level

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        list(pool.map(one, documents))
    return levels


def _decide(asked: Asked, documents: Mapping[str, Document], levels: Mapping[str, int]) -> tuple[Session, Decided]:
    """The plan of a fresh look, without anything but the wanted releases and what they wait for. Raises Refused."""
    again = _session(asked)
    wanted = [Wanted(f"{name}-p{level}", level, documents[name]) for name, level in levels.items()]
    there = {release.ref for release in releases_here(again.seen)}
    for release in wanted:
        if release.ref in there:
            print(f"{release.name} is here already.", flush=True)
    plan, desired = planned(again, [release for release in wanted if release.ref not in there])
    free = again.seen.rows[""].available if "" in again.seen.rows else None
    refusals = guard(plan, again.selected, Consent(), [], {}, free)
    if refusals:
        raise Refused(refusals)
    return again, Decided(plan, refusals, desired)


def planned(run: Session, missing: Sequence[Wanted]) -> tuple[Plan, Desired]:
    """The steps that make these releases and what they wait for, and nothing else."""
    from reconciler.world import observed_world, wanted_world

    desired = Desired(run.selected, run.seen, {})
    world = World([*wanted_world(run.kinds, desired).values(), *missing])
    plan = make_plan(run.kinds, observed_world(run.kinds, run.seen), world, desired, Limits(prune=False))
    kept = plan.up_to(step.number for step in plan.steps if isinstance(step.action, FetchRelease))
    return replace(plan, steps=tuple(step for step in plan.steps if step.number in kept), notes=()), desired
