"""Parts into a document as its user wrote it: the user's own fields stay, and every other has a place of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.effective.part import Part
from reconciler.makejail.problem import warning
from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.document import Jail
from reconciler.spec.specset import Path_, Sourced

Key = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class _Members:
    """A list whose members have keys: how a member's is read, and what a new one begins with."""

    key: Key
    new: Callable[[str], dict[str, Any]]


def _named(name: str) -> _Members:
    return _Members(lambda member: str(member.get(name)), lambda key: {name: key})


def _path_of(member: Mapping[str, Any]) -> str:
    return "/" + "/".join(part for part in str(member.get("mountpoint")).split("/") if part)


def _port_of(member: Mapping[str, Any]) -> str:
    return f"{member.get('host')} {member.get('protocol', 'tcp')}"


def _port(key: str) -> dict[str, Any]:
    host, _, protocol = key.partition(" ")
    return {"host": int(host), "protocol": protocol}


LISTS: Mapping[tuple[str, ...], _Members] = {
    ("volumes",): _named("name"),
    ("mounts",): _Members(_path_of, lambda key: {"mountpoint": key}),
    ("network", "addresses"): _Members(
        lambda member: str(member.get("address")).replace("/", " "), lambda key: {"address": key.replace(" ", "/")}
    ),
    ("network", "vnet", "expose"): _Members(_port_of, _port),
}
"""Lists of the document whose members a part names by key."""
MODES = ("inherit", "addresses", "vnet")


@dataclass
class Merged:
    """A document on its way. `origins` are the places of what is not the user's; `notes` what speaks against parts."""

    item: Sourced[Jail]
    raw: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, Span] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)

    @classmethod
    def of(cls, item: Sourced[Jail], parts: Iterable[Part]) -> Merged:
        """The user's document with these parts; of two that say one thing the later counts."""
        merged = cls(item, copy.deepcopy(dict(item.raw)))
        for part in parts:
            if not merged._other_way(part):
                merged._put(merged.raw, (), (), part.path, part)
        return merged

    def _other_way(self, part: Part) -> bool:
        """Whether the spec has another way to the network than the part; the spec's counts."""
        if part.path[0] != "network" or part.path[1] not in MODES:
            return False
        said = self.item.raw.get("network")
        own = [mode for mode in MODES if isinstance(said, Mapping) and said.get(mode)]
        if not own or part.path[1] in own:
            return False
        self._conflict(part, ("network", own[0]), f"network: {own[0]}", f"network: {part.path[1]}")
        return True

    def _put(self, node: dict[str, Any], at: Path_, shape: tuple[str, ...], rest: tuple[str, ...], part: Part) -> None:
        key = self._alias(node, shape, rest[0])
        here, place = (*shape, key), (*at, key)
        if len(rest) == 1:
            self._leaf(node, place, part)
            return
        if node.get(key) is None:
            node[key] = [] if here in LISTS else {}
            self.origins[place] = part.span
        child = node[key]
        if here not in LISTS:
            self._put(child, place, here, rest[1:], part)
            return
        number = next((n for n, member in enumerate(child) if LISTS[here].key(member) == rest[1]), len(child))
        if number == len(child):
            child.append(LISTS[here].new(rest[1]))
            self.origins |= {(*place, number, *own): part.span for own in [(), *((name,) for name in child[number])]}
        self._put(child[number], (*place, number), here, rest[2:], part)

    @staticmethod
    def _alias(node: Mapping[str, Any], shape: tuple[str, ...], key: str) -> str:
        """`memoryuse` and `memoryuse:deny` are one limit."""
        other = f"{key}:deny"
        return other if shape == ("limits",) and ":" not in key and other in node else key

    def _leaf(self, node: dict[str, Any], place: Path_, part: Part) -> None:
        key = str(place[-1])
        now = node.get(key)
        if part.append:
            self._append(node, place, part)
        elif now is None or place in self.origins:
            node[key] = part.value
            self.origins[place] = part.span
        elif not part.weak and _plain(now) != _plain(part.value):
            shown = ".".join(str(one) for one in place if not isinstance(one, int))
            self._conflict(part, place, f"{shown}: {_plain(now)}", _plain(part.value))

    def _append(self, node: dict[str, Any], place: Path_, part: Part) -> None:
        key = str(place[-1])
        if node.get(key) is None:
            node[key] = []
            self.origins[place] = part.span
        if part.value not in node[key]:
            node[key].append(part.value)
            self.origins[(*place, len(node[key]) - 1)] = part.span

    def _conflict(self, part: Part, place: Path_, says: str, wish: str) -> None:
        detail = f"The spec says {says} ({self.item.place(place)}); {part.by} wishes {wish}. The spec counts."
        hint = "Make the two agree, or remove one."
        self.notes.append(
            warning("option-conflict", "A Makejail and its spec differ", detail, hint, part.span),
        )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
