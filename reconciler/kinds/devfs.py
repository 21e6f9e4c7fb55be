"""The devfs(8) ruleset of a running jail. One that does not exist would mean every device in the jail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.kind import Desired, Kind, Seen
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Span
from reconciler.model.value import Ref, Resource


@dataclass(frozen=True, slots=True)
class Ruleset(Resource):
    """A ruleset of our own by jail. `rules` is the text of its file, as the start hook loads it."""

    kind: ClassVar[str] = "devfs"
    number: int = 0
    rules: tuple[str, ...] = field(default=(), compare=False)

    @property
    def scope(self) -> str:
        """The jail."""
        return self.name

    def needs(self) -> frozenset[Ref]:
        """The running jail."""
        return frozenset({Ref("jail", self.name)})

    def provider(self) -> Ref | None:
        """Starting the jail loads it."""
        return Ref("jail", self.name)

    def claims(self) -> frozenset[str]:
        """Its number."""
        return frozenset({f"devfs:{self.number}"})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"number": str(self.number)}


@dataclass(frozen=True, slots=True)
class LoadRuleset(Action):
    """devfs rule add, one rule after the other."""

    @property
    def phase(self) -> Phase:
        """While the jail runs."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        return f"load devfs ruleset {self.subject.facts()['number']} again"

    def apply(self, site: Site) -> None:
        """Do it."""
        ruleset = self.after
        assert isinstance(ruleset, Ruleset)
        site.host.devices.load(ruleset.number, ruleset.rules)


def want(desired: Desired) -> Iterable[Ruleset]:
    """For running jails with rules of their own."""
    for name, allocation in desired.allocated.items():
        if allocation.jail is not None and allocation.ruleset:
            text = allocation.config.content.get("devfs.rules", (0, ""))[1]
            yield Ruleset(name, allocation.ruleset, rule_lines(text))


def rule_lines(text: str) -> tuple[str, ...]:
    """The rules of a devfs.rules file, without comments and headings."""
    return tuple(
        line.removeprefix("add ").strip()
        for line in text.splitlines()
        if line.strip() and not line.startswith(("#", "["))
    )


def have(seen: Seen) -> Iterable[Ruleset]:
    """The numbers that running jails of ours use and that hold rules."""
    live = seen.place.folder("live/")
    for row in seen.observed.jails:
        number = str(row.parameters.get("devfs_ruleset", "0"))
        own = f"jails/{row.name}/devfs.rules" in seen.observed.files
        if row.path == live + row.name and own and number.isdigit() and int(number) in seen.observed.devices:
            yield Ruleset(row.name, int(number))


def steps(before: Ruleset | None, after: Ruleset | None) -> Iterable[Action]:
    """Load what is missing."""
    if after is not None:
        yield LoadRuleset(before, after)


def narrow(resource: Ruleset, _place: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its file says whether the jail has one."""
    return ((), (f"jails/{resource.name}",))


def span(resource: Ruleset, desired: Desired) -> Span | None:
    """The rules in the spec."""
    sourced = desired.specs.jails.get(resource.name)
    return sourced.place(("devfs",)) if sourced else None


KIND = Kind(Ruleset, want, have, steps, frozenset({"devices", "jails", "files"}), narrow, "devfs", span)
