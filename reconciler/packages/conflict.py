"""What packages that are applied one after the other do to each other's files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.packages.manifest import Manifest
from reconciler.packages.tree import key

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Applied:
    """A package as a jail lists it. `replaces` are packages before it whose files it may overwrite or delete."""

    name: str
    manifest: Manifest
    replaces: tuple[str, ...] = ()
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that `second` brings or deletes otherwise than `first` before it."""

    path: str
    first: str
    second: str
    span: Span | None = None


def conflicts(packages: Sequence[Applied]) -> tuple[Conflict, ...]:
    """Every path that two packages say different things of, unless the later one declares that it replaces the other.

    Both may bring one thing that is the same to the last bit, as a folder that both need; and both may delete one.
    """
    said: dict[str, tuple[str, object]] = {}
    found: list[Conflict] = []
    for package in packages:
        change = package.manifest.change
        mine: dict[str, object] = {**dict.fromkeys(change.deletions), **{e.path: e for e in change.entries}}
        for path, what in sorted(mine.items(), key=lambda item: key(item[0])):
            first = said.get(path)
            if first is not None and first[1] != what and first[0] not in package.replaces:
                found.append(Conflict(path, first[0], package.name, package.span))
            said[path] = (package.name, what)
    return tuple(found)


def diagnostics(jail: str, found: Iterable[Conflict]) -> tuple[Diagnostic, ...]:
    """One diagnostic for each pair of packages, with the first of the paths."""
    pairs: dict[tuple[str, str], list[Conflict]] = {}
    for one in found:
        pairs.setdefault((one.first, one.second), []).append(one)
    told = []
    for (first, second), each in pairs.items():
        shown = "\n".join(f"  {one.path!a}" for one in each[:SHOWN])
        more = f"\n  and {len(each) - SHOWN} more" if len(each) > SHOWN else ""
        detail = f"{jail}: {second} brings or deletes what {first} brings or deletes otherwise:\n{shown}{more}"
        hint = f"Take one out, or say that it is meant: - {{name: {second}, replaces: [{first}]}}"
        told.append(Diagnostic("package-conflict", "Two packages write the same path", detail, hint, each[0].span))
    return tuple(told)
