"""Wanted and observed alike: resources, their references, and the world they make up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The address of a resource: its kind and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing on a host, as the specs want it or as the host shows it.

    Two equal resources need no action. Fields that only one side can know, or that help to act
    but do not describe the thing, are declared with `compare=False`.
    """

    kind: ClassVar[str]
    durable: ClassVar[bool] = False
    name: str

    @property
    def ref(self) -> Ref:
        """Kind and name."""
        return Ref(self.kind, self.name)

    @property
    def scope(self) -> str:
        """The jail it belongs to, or "" for what jails share: blast radius and teardown barrier."""
        return ""

    def needs(self) -> frozenset[Ref]:
        """What must be there before this; the only source of order between resources."""
        return frozenset()

    def claims(self) -> frozenset[str]:
        """What at most one resource may own, such as `ip4:10.0.0.2`."""
        return frozenset()

    def provider(self) -> Ref | None:
        """The resource whose start makes this one (a running jail makes its mounts), if any."""
        return None

    def facts(self) -> Mapping[str, str]:
        """The compared fields as text, for plans and drift reports; never a secret."""
        return {}


class World(Mapping[Ref, Resource]):
    """Resources by reference, in the order of kinds as they first came."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        """Collect resources; the same address twice is a programming error."""
        self._by_kind: dict[str, dict[str, Resource]] = {}
        for resource in resources:
            kind, name = resource.kind, resource.name
            named = self._by_kind.get(kind)
            if named is None:
                named = self._by_kind[kind] = {}
            if name in named:
                raise ValueError(f"{kind}/{name} stands twice in one world")
            named[name] = resource

    def __getitem__(self, ref: Ref) -> Resource:
        return self._by_kind[ref.kind][ref.name]

    def __iter__(self) -> Iterator[Ref]:
        return (Ref(kind, name) for kind, named in self._by_kind.items() for name in named)

    def __len__(self) -> int:
        return sum(map(len, self._by_kind.values()))

    def values(self) -> ValuesView[Resource]:
        """All resources."""
        return _Values(self)

    def of(self, kind: str) -> Iterator[Resource]:
        """All resources of one kind."""
        return iter(self._by_kind.get(kind, {}).values())

    def named(self, kind: str) -> Mapping[str, Resource]:
        """All resources of one kind by name."""
        return self._by_kind.get(kind, {})

    def kinds(self) -> Iterable[str]:
        """The kinds that it has resources of."""
        return self._by_kind.keys()


class _Values(ValuesView[Resource]):
    """The values of a world, without a reference made for each."""

    _mapping: World

    def __iter__(self) -> Iterator[Resource]:
        return (resource for kind in self._mapping.kinds() for resource in self._mapping.of(kind))
