"""How a plan is applied from the command line: lock, plan, show, guard, execute, and look again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli import render_plan, report, saved_plan, session
from reconciler.cli.building import streamed
from reconciler.cli.levels import settled
from reconciler.cli.lock import locked
from reconciler.cli.mirrors import Offer, offered, patience_of
from reconciler.cli.paper import paper
from reconciler.cli.progress import Progress
from reconciler.cli.record import Record
from reconciler.cli.saved_plan import SavedPlan
from reconciler.cli.stopping import Stopping, stopping
from reconciler.model.diagnostic import Diagnostic, Refused, SpecError
from reconciler.model.outcome import Report
from reconciler.reconcile import Decided, Options, Session
from reconciler.spec.load import load


@dataclass(frozen=True)
class Asked:
    """What the command line asks of an apply. `saved` names the file of a saved plan."""

    options: Options
    host: str
    saved: Path | None = None
    mirror: str = ""
    jobs: int = 4
    offline: bool = False


def run(asked: Asked) -> int:
    """Apply and answer the exit status. Raises Refused, StalePlan, SpecError, HostError."""
    saved = saved_plan.load(asked.saved) if asked.saved is not None else None
    if saved is not None:
        asked = _as_saved(asked, saved)
    with ExitStack() as stack:
        specs = load(asked.options.path)
        host = session.changing(asked.host)
        current = Session(host, asked.options, specs)
        _refuse_unknown(current)
        stack.enter_context(locked(host, current.document.pool, "apply"))
        patience = patience_of(current.document, offline=asked.offline)
        current, decided = settled(current, current.decide(), asked.mirror, patience if saved is None else None)
        if saved is not None:
            saved_plan.check(saved, current, decided)
        if not decided.refusals:
            decided = current.looked_into(decided, session.site(current))
        if report.refused(current, decided):
            return report.REFUSED
        if decided.plan.empty:
            return report.status(Report(decided.plan, {}), decided)
        offer = stack.enter_context(offered(asked.mirror, host.url, current.document, patience))
        done, stop, again = _execute(current, decided, asked, offer)
        if decided.desired.renaming and done.ok and not stop.signal and saved is None:
            rest = again.looked_into(again.decide(), session.site(again))
            if rest.plan.steps and not rest.refusals:
                print(f"\n{report.counted(done)} What was renamed goes on under its new name.\n", flush=True)
                print(render_plan.render(rest, paper(), again.options.only), flush=True)
                done, stop, again = _execute(again, rest, asked, offer)
        return _end(done, stop, again)


def _refuse_unknown(current: Session) -> None:
    """A consent must be for a jail that a spec names or that the pool has."""
    there = {path.removeprefix("jails/") for path in current.seen.rows if path.startswith("jails/")}
    named = current.selected.jails.keys() | there
    if unknown := sorted(n for n in current.options.consent.data_loss if n.partition("/")[0] not in named):
        detail = f"--allow-data-loss names {', '.join(unknown)}: neither these specs nor the pool have such a jail."
        raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, "reconcile status"))


def _as_saved(asked: Asked, saved: SavedPlan) -> Asked:
    """The run that the saved plan was made by, with the consents given now."""
    url = session.host_url(asked.host) if asked.host else saved.plan.host
    if url != saved.plan.host:
        detail = f"The plan was made for {saved.plan.host}, and --host says {url}. Nothing was changed."
        raise Refused(
            Diagnostic("plan-other-host", "The saved plan is for another host", detail, "Leave out --host.")
        )
    given = asked.options
    options = replace(
        saved.options(), consent=given.consent, adopt_source=given.adopt_source, offline=given.offline
    )
    return replace(asked, options=options, host=url, mirror=asked.mirror or saved.mirror)


def _execute(current: Session, decided: Decided, asked: Asked, offer: Offer) -> tuple[Report, Stopping, Session]:
    """What was done, whether a signal ended it, and a session that looks afterwards."""
    record = Record.begin(current.host.url, current.specs.digest)
    progress = Progress(record.step)
    status = "failed"
    try:
        with stopping(progress.running) as stop, progress:
            site = session.site(
                current, offer=offer, stop=stop.event, outputs=streamed(progress), progresses=progress.moved
            )
            done = current.apply(decided, site, asked.jobs, progress.watch, stop.event)
        status = "done" if done.ok else "stopped" if stop.signal else "failed"
        report.failures(done, progress.tail)
        return done, stop, Session(current.host, _after(current.options), current.specs)
    finally:
        record.end(status)


def _after(options: Options) -> Options:
    """The look afterwards: what was rejected in this run is held, not tried again."""
    return replace(options, retry=frozenset())


def _end(done: Report, stop: Stopping, again: Session) -> int:
    """The last words: what was done, and whether the host is now as its specs say."""
    print(f"\n{report.counted(done)}", flush=True)
    if stop.signal and not done.ok:
        print("Stopped before the end; `reconcile apply` goes on from here.", flush=True)
        return stop.status
    left = again.decide()
    if not left.plan.empty:
        print("Left to do:\n", flush=True)
    print(render_plan.render(left, paper(), again.options.only), end="", flush=True)
    return report.status(done, left)
