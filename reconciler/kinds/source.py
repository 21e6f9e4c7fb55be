"""The folder of specs that this pool belongs to: only a run on it may prune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen
from reconciler.model.action import Action, Site
from reconciler.model.value import Ref, Resource


@dataclass(frozen=True, slots=True)
class Source(Resource):
    """The recorded source, as text."""

    kind: ClassVar[str] = "source"
    value: str = ""

    def needs(self) -> frozenset[Ref]:
        """The pool's own dataset carries it."""
        return frozenset({Ref("dataset", "pool")})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"source": self.value}


@dataclass(frozen=True, slots=True)
class RecordSource(Action):
    """Set the property."""

    def title(self) -> str:
        """A verb and its object."""
        return f"record {self.subject.facts()['source']} as the source of this pool"

    def apply(self, site: Site) -> None:
        """Do it."""
        site.host.datasets.set(site.pool, {"reconciler:source": self.subject.facts()["source"]})


def want(desired: Desired) -> Iterable[Source]:
    """What is recorded stays, unless it is adopted; the first run on a folder records it."""
    recorded = recorded_source(desired.seen)
    value = desired.source if desired.source and (not recorded or desired.adopt_source) else recorded
    if value:
        yield Source("source", value)


def recorded_source(seen: Seen) -> str:
    """What the pool's dataset says; "" when nothing is recorded."""
    row = seen.rows.get("")
    return row.user.get("source", "") if row else ""


def have(seen: Seen) -> Iterable[Source]:
    """The property."""
    if value := recorded_source(seen):
        yield Source("source", value)


def steps(before: Source | None, after: Source | None) -> Iterable[Action]:
    """Record."""
    if after is not None:
        yield RecordSource(before, after)


def narrow(_resource: Source, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pool's own dataset."""
    return ((place.pool,), ())


KIND = Kind(Source, want, have, steps, frozenset({"datasets"}), narrow)
