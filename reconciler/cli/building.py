"""How the layers of one jail are built from the command line, without touching the jail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from reconciler.cli import report, session, show
from reconciler.cli.levels import settled
from reconciler.cli.lock import locked
from reconciler.cli.mirrors import Offer, offered, patience_of
from reconciler.cli.progress import Progress
from reconciler.cli.record import Record
from reconciler.cli.stopping import stopping
from reconciler.kinds.layer import BuildLayer
from reconciler.model.action import Plan, Step
from reconciler.model.command import Output
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Options, Session
from reconciler.spec.load import load


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a build. `timeout` in seconds, for each segment."""

    options: Options
    jail: str
    host: str
    mirror: str
    timeout: float
    keep_failed: bool = False
    offline: bool = False


def run(asked: Asked) -> int:
    """Build and answer the exit status. Raises Refused, SpecError, HostError."""
    with ExitStack() as stack:
        specs = load(asked.options.path)
        host = session.changing(asked.host)
        current = Session(host, asked.options, specs)
        stack.enter_context(locked(host, current.document.pool, "build"))
        patience = patience_of(current.document, offline=asked.offline)
        current, decided = settled(current, current.decide(), asked.mirror, patience)
        decided = only_layers(decided, asked)
        if report.refused(current, decided):
            return report.REFUSED
        if decided.plan.empty:
            held = any(note.failing and note.scope == asked.jail for note in decided.plan.notes)
            print(f"Nothing is built for {asked.jail}." if held else f"All layers of {asked.jail} are here already.")
            return 1 if held else 0
        offer = stack.enter_context(offered(asked.mirror, host.url, current.document, patience))
        return _execute(current, decided, offer)


def only_layers(decided: Decided, asked: Asked) -> Decided:
    """The plan without all that the jail's layers do not wait for, and what speaks against building."""
    wanted = {layer.ref for layer in decided.desired.allocated[asked.jail].chain.layers}
    kept = decided.plan.up_to(step.number for step in decided.plan.steps if step.action.ref in wanted)
    steps = tuple(_asked(step, asked) for step in decided.plan.steps if step.number in kept)
    notes = tuple(note for note in decided.plan.notes if note.scope in ("", asked.jail))
    plan: Plan = replace(decided.plan, steps=steps, notes=notes)
    refusals = tuple(found for found in decided.refusals if found.code == "free-space-low")
    return replace(decided, plan=plan, refusals=refusals)


def _asked(step: Step, asked: Asked) -> Step:
    if isinstance(step.action, BuildLayer):
        return replace(step, action=replace(step.action, timeout=asked.timeout, keep=asked.keep_failed))
    return step


def _execute(current: Session, decided: Decided, offer: Offer) -> int:
    record = Record.begin(current.host.url, current.specs.digest)
    progress = Progress(record.step)
    status = "failed"
    try:
        with stopping(progress.running) as stop, progress:
            site = session.site(
                current, offer=offer, stop=stop.event, outputs=streamed(progress), progresses=progress.moved
            )
            done = current.apply(decided, site, 1, progress.watch, stop.event)
        status = "done" if done.ok else "stopped" if stop.signal else "failed"
        report.failures(done, progress.tail)
        print(f"\n{report.counted(done)}", flush=True)
        return stop.status if stop.signal and not done.ok else 0 if done.ok else 1
    finally:
        record.end(status)


def streamed(progress: Progress) -> Callable[[Ref], Output]:
    """Outputs that keep their end for the journal, and show what builds print as whole lines while they run."""
    return lambda ref: _Lines(progress, ref) if ref.kind == "layer" else progress.output(ref)


class _Lines:
    """An output that is shown line by line."""

    def __init__(self, progress: Progress, ref: Ref) -> None:
        """Show on the progress's stream, each line under the digest of its layer."""
        self._keep, self._say = progress.output(ref), progress.say
        self._name = ref.name[:8]
        self._begun = b""
        self._guard = threading.Lock()

    def __call__(self, data: bytes) -> None:
        """Show the lines that are whole now."""
        self._keep(data)
        with self._guard:
            *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._say(f"  {self._name} | {show.visible(line.decode('utf-8', 'replace').rstrip(chr(13)).expandtabs())}")
