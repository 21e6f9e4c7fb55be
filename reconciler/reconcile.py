"""The flow on one screen: load, select, observe, allocate, want, diff, plan, guard; then execute."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from reconciler import conditions
from reconciler.ageing import doubts
from reconciler.allocate import Allocation, Inputs, allocate, rulesets
from reconciler.at_rest import at_rest
from reconciler.cache import Cache, default_folder
from reconciler.conflicts import package_conflicts
from reconciler.effective import Effective, effective
from reconciler.execute import Executor, Watch
from reconciler.guard import Consent, guard, undeclared_changes
from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.kinds.dataset import renames
from reconciler.kinds.layer import leave
from reconciler.kinds.source import recorded_source
from reconciler.losses import losses, unmounted, unseen
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.program import Program
from reconciler.makejail.recorded import Recorded
from reconciler.model.action import Note, Plan, Site, Step
from reconciler.model.diagnostic import Diagnostic, HostError, Refused, SpecError
from reconciler.model.outcome import Report
from reconciler.model.ports import FACETS, Facts, Host, Observation, Observed, Request
from reconciler.model.value import World
from reconciler.plan import Limits, make_plan
from reconciler.programs import compile_all, packages_of, pinned_by, warnings_of
from reconciler.renderings import Renderings
from reconciler.rollback import recover
from reconciler.spec.document import Host as HostDocument
from reconciler.spec.load import collector_paused, load
from reconciler.spec.lock import Lock, load_lock
from reconciler.spec.select import Selected, select
from reconciler.spec.specset import SpecSet
from reconciler.spec.suggest import did_you_mean
from reconciler.world import kinds, observed_world, wanted_world


@dataclass(frozen=True)
class Options:
    """What a run is asked. `only` narrows to jails; `labels` are this machine's.

    `retry` lifts rejections; `resumed` looks at suspended jails as if they were not; `rebuild` names jails
    whose Makejail is built anew, whatever is there; `fetched` are the patch levels of releases that were looked
    into before they are on the host; `waiting` are jails that this run leaves alone, and why; `source` is what the
    folder of specs is called in the pool, where its path is none that lasts; `offline`: nothing is to be downloaded.
    """

    path: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()
    retry: frozenset[str] = frozenset()
    consent: Consent = field(default_factory=Consent)
    adopt_source: bool = False
    resumed: frozenset[str] = frozenset()
    rebuild: frozenset[str] = frozenset()
    fetched: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    offline: bool = False


@dataclass(frozen=True)
class Decided:
    """A plan, what it was made from, and what speaks against it."""

    plan: Plan
    refusals: tuple[Diagnostic, ...]
    desired: Desired


class Session:
    """One run on one host. Nothing is changed but by `apply`."""

    def __init__(
        self,
        host: Host,
        options: Options,
        specs: SpecSet | None = None,
        earlier: tuple[Request, Observation] | None = None,
        renderings: Renderings | None = None,
    ) -> None:
        """Specs are loaded at once: an invalid folder never reaches a host. Raises SpecError.

        `earlier` is what this run has already seen of the host; it counts where it answers the same request.
        `renderings` are the files of jails that an earlier run rendered; this one adds its own.
        """
        self.host = host
        self.options = options
        self.specs = specs if specs is not None else load(options.path)
        self.kinds: Mapping[str, Kind] = kinds()
        self._earlier, self.cache = earlier, Cache(default_folder(os.environ))
        self.renderings = renderings
        self.sources = Recorded(LocalFiles())

    @cached_property
    def chosen(self) -> Selected:
        """The documents for this machine, as they are written. Raises SpecError."""
        hostname = self.first_facts.hostname if self.specs.hosts else ""
        return select(self.specs, hostname, self.options.labels)

    @cached_property
    def selected(self) -> Selected:
        """The documents for this machine, with what their Makejails say of them. Raises SpecError."""
        return self._effective.selected

    @cached_property
    def _effective(self) -> Effective:
        return effective(self.chosen, self.compiled[0], self.specs)

    @cached_property
    def unnamed(self) -> Selected:
        """The documents, as far as they are known before the host is asked: one Host document needs no name."""
        return select(self.specs, None, self.options.labels) if len(self.specs.hosts) == 1 else self.chosen

    @cached_property
    def first_facts(self) -> Facts:
        """What the host is; asked alone where documents are chosen among several by host name."""
        if len(self.specs.hosts) == 1:
            facts = self._parsed.facts
        else:
            request = Request("", "", frozenset({"facts"}))
            facts = self.host.parse(request, self.host.observe(request)).facts
        if facts is None:
            raise HostError(Diagnostic("facts-missing", "The host did not say what it is", self.host.url))
        return facts

    @property
    def document(self) -> HostDocument:
        """The Host document, or the defaults."""
        return self.selected.host

    @cached_property
    def lock(self) -> Lock:
        """What is pinned of the network, as it stood when the specs were read. Raises SpecError."""
        return load_lock(self.options.path)

    @cached_property
    def compiled(self) -> tuple[Mapping[str, Program], Mapping[str, str]]:
        """Every jail's Makejail as a program, and its folder. Raises SpecError."""
        pinned = pinned_by(self.lock, default_folder(os.environ), self.options.path)
        return compile_all(self.unnamed.jails, self.sources, pinned)

    def know(self, **known: object) -> None:
        """Take what was worked out elsewhere: `compiled`, the programs of `unnamed`, or another `lock`."""
        self.__dict__.update(known)

    @cached_property
    def request(self) -> Request:
        """One observation of everything that these specs have a say in."""
        likely, parameters = effective(self.unnamed, self.compiled[0], self.specs).selected, set[str]()
        pools: set[str] = set()
        stack = likely.host.build.vnet
        unasked = {"devices"} if stack is not None and stack.nat else {"devices", "translation"}
        for sourced in likely.jails.values():
            jail = sourced.doc
            parameters |= jail.parameters.keys()
            pools |= {volume.pool for volume in jail.volumes if volume.pool and volume.pool != likely.host.pool}
            unasked -= {"devices"} if jail.devfs else set()
            unasked -= {"translation"} if (vnet := jail.network.vnet) and (vnet.nat or vnet.expose) else set()
            sourced.forget()  # there are many, and it is long until they are asked for again
        shown = {k for k in parameters if not k.startswith(("exec.", "mount.", "meta", "env"))}
        plain = {conditions.positive(k) for k in shown}
        return Request(
            likely.host.pool,
            likely.host.mountpoint,
            FACETS - unasked,
            parameters=tuple(sorted(plain)),
            extra_pools=tuple(sorted(pools)),
        )

    @cached_property
    def observation(self) -> Observation:
        """The raw answer of the host."""
        if self._earlier is not None and self._earlier[0] == self.request:
            return self._earlier[1]
        return self.host.observe(self.request)

    @cached_property
    def _parsed(self) -> Observed:
        parsed = self.host.parse(self.request, self.observation)
        self.observation = replace(self.observation, raw=())  # tens of megabytes that nobody asks for again
        return parsed

    @cached_property
    def observed(self) -> Observed:
        """What the host showed. Raises Refused while the pool is not ready, HostError where it cannot be used."""
        observed = self._parsed
        states = {self.document.pool: (observed.pool_state, observed.pool_reason), **observed.pools}
        for pool, (state, reason) in states.items():
            if state == "waiting":
                detail = f"{pool}: {reason}"
                hint = "Import the pool, load its key or mount it; then run the command again. Nothing was changed."
                raise Refused(Diagnostic("pool-waiting", "The pool is not ready", detail, hint))
            if state == "refused":
                raise HostError(Diagnostic("pool-refused", "The pool cannot be used", f"{pool}: {reason}"))
        self._readable(observed)
        return observed

    def _readable(self, observed: Observed) -> None:
        """Raises Refused while a folder that says which roots are live cannot be read: it is not empty, but unmounted.

        One whose mark is pending was left by a kill between making and mounting it; its step mounts it.
        """
        place = Place(self.document.pool, self.document.mountpoint, observed.facts.hostid if observed.facts else "")
        for row in observed.datasets:
            parts = (place.path(row.name) or "").split("/")
            holds = parts[0] == "jails" and len(parts) <= 2 and row.mountpoint.startswith("/")
            if holds and not row.mounted and place.owner(row) == "ours" and not row.user.get("pruned"):
                detail = f"{row.name} is not mounted, so the files of its jails cannot be read."
                hint = f"zfs mount {row.name}"
                raise Refused(Diagnostic("pool-waiting", "The pool is not ready", detail, hint))

    @cached_property
    def facts(self) -> Facts:
        """What the host is."""
        facts = self.observed.facts
        return facts if facts is not None else self.first_facts

    @cached_property
    def place(self) -> Place:
        """Where everything of ours lies."""
        return Place(self.document.pool, self.document.mountpoint, self.facts.hostid)

    @cached_property
    def seen(self) -> Seen:
        """The observation, indexed."""
        return Seen.of(self.place, self.observed)

    @cached_property
    def allocated(self) -> Mapping[str, Allocation]:
        """What planning decides for each jail."""
        programs, contexts = self.compiled
        pinned = pinned_by(self.lock, default_folder(os.environ), self.options.path)
        packages = packages_of(self.selected, self.sources, pinned)
        options = self.options
        asked = (options.retry, contexts, options.rebuild, options.fetched, self._rulesets, self.lock, self.renderings)
        return allocate(Inputs(self.selected, self.seen, programs, packages, *asked))

    @cached_property
    def _rulesets(self) -> Mapping[str, int]:
        return rulesets(self.selected, self.seen)

    def narrowed(self, selected: Selected, seen: Seen) -> Session:
        """The same run, looking at some of the jails only; numbers that jails share out stay those of all."""
        _ = self.compiled, self.facts, self._rulesets
        narrowed = copy(self)
        narrowed.__dict__.update(selected=selected, seen=seen, observed=seen.observed)
        narrowed.__dict__.pop("allocated", None)
        return narrowed

    def forget_seen(self) -> None:
        """Let go of the index of what was observed; it is made again when it is asked for."""
        _ = self._rulesets
        self.__dict__.pop("seen", None)

    def decide(self) -> Decided:
        """The plan and the guard's word on it. Raises SpecError, Refused, HostError."""
        with collector_paused():
            return self._decide()

    def compare(self) -> Decided:
        """The same, for telling whether there is something to do: its worlds and allocations may be empty when not."""
        with collector_paused():
            plan = at_rest(self)
            if plan is None:
                return self._decide()
            return Decided(plan, (), Desired(self.selected, Seen(self.place, self.observed)))

    def _decide(self) -> Decided:
        if self.specs.is_folder and not any(True for _ in self.specs.documents()):
            # Mistaking the folder would otherwise mean: every jail is in no spec any more.
            raise SpecError(replace(w, severity="error") for w in self.specs.warnings)
        self._refuse_unknown()
        adopt, renaming = self.options.adopt_source, renames(self.selected, self.seen)
        skipped, only = self.skipped(), self.options.only
        left = skipped.keys() | (self.selected.jails.keys() - only if only else set())
        decided = (self.selected, self.seen, self.allocated, self.source(), adopt, renaming)
        desired = Desired(*decided, left=frozenset(left))
        observed, wanted = self.worlds(desired)
        waiting = conditions.unmounted(self.selected, self.seen)
        limits = Limits(only, self.may_prune(), skipped, waiting)
        plan = make_plan(self.kinds, observed, wanted, desired, limits)
        if plan.steps:
            plan = replace(plan, notes=(*plan.notes, *self.language_warnings()))
        lost = losses(self, plan)
        free = self.seen.rows[""].available if "" in self.seen.rows else None
        refusals = guard(plan, self.selected, self.options.consent, self._protected(), lost, free)
        refusals += package_conflicts(self.allocated, self.seen, self.cache)
        doubted = (note for note in self._doubts() if not note.failing)
        said = (*doubted, *unseen(self, plan))
        plan = replace(plan, notes=(*plan.notes, *(n for n in said if not only or n.scope in only)))
        return Decided(plan, refusals, desired)

    def looked_into(self, decided: Decided, site: Site) -> Decided:
        """The same, after a look into the roots that it replaces and that no plan can see. Raises HostError.

        The caller holds the lock: they are mounted for that.
        """
        lost = unmounted(self, decided.plan, site)
        refusals = undeclared_changes(lost, self.selected, self.options.consent)
        return replace(decided, refusals=(*decided.refusals, *refusals)) if refusals else decided

    def worlds(self, desired: Desired) -> tuple[World, World]:
        """What is there, and what is wanted. Raises SpecError."""
        return observed_world(self.kinds, self.seen), wanted_world(self.kinds, desired)

    def _refuse_unknown(self) -> None:
        """A name that was mistyped on the command line must not pass for one that needed nothing."""
        asked = self.options.only | self.options.retry
        if unknown := sorted(asked - self.selected.jails.keys()):
            detail = f"No jail of these specs is named {', '.join(unknown)}."
            hint = did_you_mean(unknown[0], self.selected.jails, "reconcile render")
            if any("," in name for name in unknown):
                hint = "One name each time: --only NAME --only NAME"
            raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, hint))

    def language_warnings(self) -> tuple[Note, ...]:
        """What the language warns of; said while there is something to do, so that a plan at rest is quiet."""
        return tuple(
            Note(name, warning.code, warning.detail or warning.summary, warning.span)
            for name, program in self.compiled[0].items()
            for warning in (*warnings_of(program), *self._effective.warnings.get(name, ()))
        )

    def source(self) -> str:
        """The folder's name as recorded in the pool; "" when this run may not record or prune."""
        if not self.specs.is_folder or self.options.only:
            return ""
        return self.options.source or str(self.specs.root.resolve())

    def may_prune(self) -> bool:
        """Whether what no spec names may be let go of: by the folder that the pool records, or a first one."""
        recorded = recorded_source(self.seen)
        source = self.source()
        return bool(source) and (self.options.adopt_source or recorded in ("", source))

    def skipped(self) -> dict[str, Note]:
        """Jails that this run leaves alone, and why."""
        skipped = conditions.unmet(self.selected, self.facts, self.compiled[0])
        skipped |= conditions.astray(self.selected, self.seen) | conditions.of_the_host(self.selected, self.seen)
        skipped |= {n.scope: n for n in self._doubts() if n.failing}
        for name in renames(self.selected, self.seen):
            former = self.selected.jails[name].doc.renamed_from
            text = f"what {former} has is renamed first; the rest follows when that is done."
            skipped[name] = Note(name, "renaming", text)
        skipped |= conditions.suspended(self.seen, self.options.resumed)
        skipped = conditions.held(self.allocated, self.seen) | skipped
        return conditions.backing_off(self.options.waiting) | skipped

    def _doubts(self) -> tuple[Note, ...]:
        offline = self.options.offline or self.document.policy.downloads == "deny"
        return doubts(self.selected, self.allocated, self.seen, self.host if offline else None)

    def _protected(self) -> list[str]:
        rows = self.seen.rows.items()
        return [
            path.removeprefix("jails/") for path, row in rows if row.user.get("protect") == "on" and "@" not in path
        ]

    def apply(self, decided: Decided, site: Site, jobs: int, watch: Watch, stop: threading.Event) -> Report:
        """Carry the plan out; the caller holds the lock and has looked at the refusals."""
        plan = decided.plan
        back: Callable[[Site, Step], tuple[Diagnostic, ...]] = partial(recover, plan=plan, place=self.place)
        executor = Executor(self.kinds, site, self.place, jobs, watch, back, stop)
        try:
            return executor.run(plan)
        finally:
            leave(site)
