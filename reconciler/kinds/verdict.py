"""Whether the live root is good: the last generation that passed its check, and the spec it was made from.

Live and good differ from the swap to the verdict. A run that finds them different checks now, and then
confirms or points back; so does one that was killed in between.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Diagnostic, HostError, Span
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource
from reconciler.spec.document import Healthcheck

TAIL = 2000  # bytes of a check's output that its failure shows


@quick
@dataclass(frozen=True, slots=True)
class Verdict(Resource):
    """A jail's last good generation, and the digest of the inputs (spec and chain) that it satisfied."""

    kind: ClassVar[str] = "verdict"
    good: int = 0
    inputs: str = ""
    running: bool = field(default=False, compare=False)
    check: Healthcheck | None = field(default=None, compare=False)
    rejected: str = field(default="", compare=False)

    @property
    def scope(self) -> str:
        """The jail."""
        return self.name

    def needs(self) -> frozenset[Ref]:
        """The running jail, or at least its files."""
        return frozenset({Ref("jail" if self.running else "config", self.name)})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"good": str(self.good), "inputs": self.inputs[:12]}


@dataclass(frozen=True, slots=True)
class Judge(Action):
    """Check the running jail, then record it as good. A failure is put right by `rollback.py`."""

    @property
    def phase(self) -> Phase:
        """When everything else of the jail is done."""
        return Phase.JUDGE

    def title(self) -> str:
        """A verb and its object."""
        verdict = self.subject
        assert isinstance(verdict, Verdict)
        if verdict.running and verdict.check is not None:
            return f"health check: {' '.join(verdict.check.command)}"
        return f"record root {verdict.good} as good"

    def apply(self, site: Site) -> None:
        """Raises HostError (code `health-check-failed`) when the jail does not get healthy."""
        verdict = self.subject
        assert isinstance(verdict, Verdict)
        if verdict.running and verdict.check is not None:
            check_health(site, verdict.name, verdict.check)
        dataset = f"{site.pool}/jails/{verdict.name}"
        site.host.datasets.set(dataset, {"reconciler:good": str(verdict.good), "reconciler:inputs": verdict.inputs})
        site.host.datasets.unset(dataset, "reconciler:rejected")


def check_health(site: Site, jail: str, check: Healthcheck) -> None:
    """Try until it is healthy, or has failed `retries` times in a row after the start period."""
    left = check.start_period
    failures = 0
    while True:
        argv, how, tail = _try(site, jail, check)
        if not how:
            return
        if left > 0:
            left -= check.interval or 1.0
        else:
            failures += 1
        if failures >= check.retries:
            raise HostError(
                Diagnostic(
                    "health-check-failed",
                    "The jail started but is not healthy",
                    f"{jail}: `{shlex.join(check.command)}` {how}"
                    f"{f', {failures} times in a row' if failures > 1 else ''}." + (f"\n{tail}" if tail else ""),
                    f"reconcile exec {jail} -- {shlex.join(check.command)}",
                ),
                argv=argv,
                stderr=tail,
            )
        site.wait(check.interval)


def _try(site: Site, jail: str, check: Healthcheck) -> tuple[tuple[str, ...], str, str]:
    """One try: its command line, how it failed ("" for healthy), and the end of what it said."""
    try:
        output = site.output(Ref("verdict", jail))
        done = site.host.jails.exec(jail, check.command, timeout=check.timeout, output=output)
    except HostError as error:
        # One that hangs, or says too much, is one that failed: the next may do better.
        if error.diagnostics[0].code not in ("host-timeout", "output-too-large"):
            raise
        took_long = error.diagnostics[0].code == "host-timeout"
        how = f"was not done after {check.timeout:g} s" if took_long else "said too much and was ended"
        return check.command, how, (error.stderr or "")[-TAIL:].strip()
    tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
    return done.argv, f"ended with status {done.status}" if done.status else "", tail


def want(desired: Desired) -> Iterable[Verdict]:
    """Every jail's live root should be good for its spec."""
    for name, allocation in desired.allocated.items():
        running = allocation.jail is not None
        check = desired.specs.jails[name].doc.healthcheck if running else None
        yield Verdict(name, allocation.root.number, allocation.inputs, running, check)


def have(seen: Seen) -> Iterable[Verdict]:
    """What the jail's dataset records."""
    for path, row in seen.rows.items():
        parts = path.split("/")
        if len(parts) == 2 and parts[0] == "jails" and "@" not in path and row.user.get("good", "").isdigit():
            yield Verdict(
                parts[1], int(row.user["good"]), row.user.get("inputs", ""), rejected=row.user.get("rejected", "")
            )


def steps(before: Verdict | None, after: Verdict | None) -> Iterable[Action]:
    """Judge what is new; what nobody wants keeps its record for `undelete`."""
    if after is not None:
        yield Judge(before, after)


def narrow(resource: Verdict, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The jail's dataset."""
    return ((place.dataset(f"jails/{resource.name}"),), ())


def span(resource: Verdict, desired: Desired) -> Span | None:
    """The health check, if there is one."""
    sourced = desired.specs.jails.get(resource.name)
    if sourced is None:
        return None
    return sourced.place(("healthcheck",)) if sourced.doc.healthcheck else sourced.place(())


KIND = Kind(Verdict, want, have, steps, frozenset({"datasets"}), narrow, span=span)
