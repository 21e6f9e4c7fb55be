"""rctl(8) rules of a running jail. Its hooks set them at start; here only live drift is put right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.kind import Desired, Kind, Seen
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Span
from reconciler.model.quick import quick
from reconciler.model.size import exact
from reconciler.model.value import Ref, Resource
from reconciler.runtime import limits
from reconciler.spec.fields import parse_size

# rctl(8): resources that are counted in bytes, some of them a second.
_BYTES = frozenset({
    "datasize", "stacksize", "coredumpsize", "memoryuse", "memorylocked", "vmemoryuse", "swapuse", "msgqsize",
    "shmsize", "readbps", "writebps",
})  # fmt: skip


@quick
@dataclass(frozen=True, slots=True)
class Limit(Resource):
    """One rule by `JAIL:RESOURCE:ACTION`; `amount` as rctl prints it, in whole bytes or counts."""

    kind: ClassVar[str] = "limits"
    amount: str = ""
    jail: str = ""
    key: str = field(default="", compare=False)

    @property
    def scope(self) -> str:
        """The jail."""
        return self.jail

    @property
    def rule(self) -> str:
        """As rctl(8) takes and prints it."""
        return f"jail:{self.name}={self.amount}"

    def needs(self) -> frozenset[Ref]:
        """The running jail."""
        return frozenset({Ref("jail", self.jail)})

    def provider(self) -> Ref | None:
        """Starting the jail sets it."""
        return Ref("jail", self.jail)

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        amount, slash, per = self.amount.partition("/")
        bytes_ = self.name.split(":")[1] in _BYTES
        return {"amount": f"{exact(amount) if bytes_ else amount}{slash}{per}"}


@dataclass(frozen=True, slots=True)
class SetLimit(Action):
    """rctl -r of the old rule, rctl -a of the new one."""

    @property
    def phase(self) -> Phase:
        """While the jail runs."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        if self.after is None:
            return f"remove limit {self.subject.name.partition(':')[2]}"
        return f"set limit {self.subject.name.partition(':')[2]}={self.after.facts()['amount']}"

    def apply(self, site: Site) -> None:
        """Do it."""
        present = site.observe("limits").limits
        for limit, wanted in ((self.before, False), (self.after, True)):
            if isinstance(limit, Limit) and (limit.rule in present) != wanted:
                (site.host.limits.add if wanted else site.host.limits.remove)(limit.rule)


def of_spec(jail: str, key: str, value: str | int) -> Limit:
    """The rule as the start hook sets it, its amount in whole numbers as rctl prints it."""
    subject, _, shown = limits.rule(jail, key, value).partition("=")
    amount, slash, per = shown.partition("/")
    if not amount.isdigit():
        amount = str(parse_size(amount))
    if per == "jail":  # what a rule of a jail is counted by anyway: rctl(8) does not print it
        slash = per = ""
    return Limit(subject.removeprefix("jail:"), f"{amount}{slash}{per}", jail, key)


def want(desired: Desired) -> Iterable[Limit]:
    """The rules of each running jail."""
    for name, allocation in desired.allocated.items():
        if allocation.jail is not None:
            for key, value in desired.specs.jails[name].doc.limits.items():
                yield of_spec(name, key, value)


def have(seen: Seen) -> Iterable[Limit]:
    """The rules of running jails of ours."""
    live = seen.place.folder("live/")
    ours = {row.name for row in seen.observed.jails if row.path == live + row.name}
    for rule in sorted(seen.observed.limits):
        subject, _, amount = rule.partition("=")
        parts = subject.split(":")
        if len(parts) == 4 and parts[0] == "jail" and parts[1] in ours:
            yield Limit(":".join(parts[1:]), amount, parts[1])


def steps(before: Limit | None, after: Limit | None) -> Iterable[Action]:
    """Set or remove."""
    yield SetLimit(before, after)


def span(resource: Limit, desired: Desired) -> Span | None:
    """The line of the limit."""
    sourced = desired.specs.jails.get(resource.jail)
    return sourced.place(("limits", resource.key)) if sourced and resource.key else None


KIND = Kind(Limit, want, have, steps, frozenset({"limits", "jails"}), drift="limits", span=span)
