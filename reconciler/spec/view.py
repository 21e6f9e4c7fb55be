"""What the rules of lint look at: all documents, the names that exist, and who may share a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.document import Host, Jail, Package, Release
from reconciler.spec.specset import Path_, Sourced, SpecSet

D = TypeVar("D")
Found = Iterator[Diagnostic]
Check = Callable[["View"], Found]


@dataclass(frozen=True)
class View:
    """Documents by kind. `broken` are names, by kind, of documents that exist but are not valid.

    `complete` is False when a file could not be read at all: then nothing is called unknown.
    """

    specs: SpecSet
    jails: tuple[Sourced[Jail], ...]
    releases: tuple[Sourced[Release], ...]
    packages: tuple[Sourced[Package], ...]
    hosts: tuple[Sourced[Host], ...]
    broken: Mapping[str, frozenset[str]]
    complete: bool = True
    looks: dict[str, tuple[bool, bool]] = field(default_factory=dict)

    def seen(self, path: str, look: Callable[[], tuple[bool, bool]]) -> tuple[bool, bool]:
        """What a look at a path showed; many documents may name one file, and it is looked at once."""
        if path not in self.looks:
            self.looks[path] = look()
        return self.looks[path]

    def unknown(self, kind: str, name: str, known: Iterable[str]) -> bool:
        """Whether no document of this name exists, as far as one can know."""
        return self.complete and name not in self.broken.get(kind, frozenset()) and name not in known

    def hosts_of(self, item: Sourced[Any]) -> list[Sourced[Host]]:
        """The valid Host documents that a document is for."""
        return [host for host in self.hosts if not item.hosts or host.name in item.hosts]


def together(one: Sourced[Any], other: Sourced[Any]) -> bool:
    """Whether two documents may be for one machine."""
    return not one.hosts or not other.hosts or not set(one.hosts).isdisjoint(other.hosts)


def error(item: Sourced[Any], path: Path_, code: str, summary: str, detail: str, hint: str = "") -> Diagnostic:
    """An error at the value that ends `path`."""
    return Diagnostic(code, summary, detail, hint, item.place(path))


def key_error(item: Sourced[Any], path: Path_, code: str, summary: str, detail: str, hint: str = "") -> Diagnostic:
    """An error at the key that ends `path`."""
    return Diagnostic(code, summary, detail, hint, item.key_place(path))


def warning(item: Sourced[Any], path: Path_, code: str, summary: str, detail: str, hint: str = "") -> Diagnostic:
    """A warning at the value that ends `path`."""
    return Diagnostic(code, summary, detail, hint, item.place(path), "warning")


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only one may have: who claims it, where, in words."""

    item: Sourced[Any]
    path: Path_
    who: str

    @property
    def span(self) -> Span:
        """Where it is claimed."""
        return self.item.place(self.path)


def rivals(claims: Iterable[tuple[str, Claim]]) -> Iterator[tuple[str, Claim, Claim]]:
    """Every claim on something that a claim before it has, on a machine that both may be on."""
    held: dict[str, dict[str | None, Claim]] = {}
    for what, claim in claims:
        before = held.setdefault(what, {})
        hosts = claim.item.hosts
        # None stands for all hosts; so a claim meets its own hosts and None, or everyone when it has none
        places = (None, *hosts) if hosts else tuple(before)
        first = next((before[place] for place in places if place in before), None)
        if first is not None:
            yield what, first, claim
        for place in hosts or (None,):
            before.setdefault(place, claim)
