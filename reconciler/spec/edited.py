"""Specs of which only some jails were edited, in what concerns them alone: the others are not read or checked again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.spec.assemble import assemble
from reconciler.spec.files import read_tree
from reconciler.spec.specset import Source, Sourced, SpecSet

OWN = frozenset(
    {
        "boot", "drift", "healthcheck", "hostname", "ignore", "keep", "limits", "mounts", "parameters", "priority",
        "protect", "secrets", "timezone", "volumes",
    }
)  # fmt: skip
"""Keys of a jail that no rule holds against other documents, and nothing that jails share depends on."""

FEW = 25
"""Jails; where more were edited, everything is read."""

Documents = list[tuple[str, Sourced[Any]]]


@dataclass(frozen=True, slots=True)
class Edited:
    """The specs as they are now, and the jails whose documents are others than before."""

    specs: SpecSet
    jails: frozenset[str]


def edited(before: SpecSet, path: str | Path, last: Edited | None = None) -> Edited | None:
    """What a file or folder says, where it differs from `before` only in what some jails say of themselves.

    `before` is valid and nothing is to be said of it; `last` is an earlier answer about it. None where that is not
    plain to see: then `load` has to look.
    """
    tree = read_tree(path)
    if last is not None and (last.specs.digest, last.specs.root) == (tree.digest, tree.root) and not tree.problems:
        return last
    alike = (tree.is_folder, len(tree.sources)) == (before.is_folder, len(before.sources))
    if tree.problems or before.warnings or not alike:
        return None
    held: dict[int, Documents] = {id(source): [] for source in before.sources}
    for kind, item in before.documents():
        held[id(item.source)].append((kind, item))
    found: Documents = []
    changed: list[Sourced[Any]] = []
    for was, now in zip(before.sources, tree.sources, strict=True):
        if _name(was, before.root) != _name(now, tree.root):
            return None
        documents = sorted(held[id(was)], key=lambda one: one[1].index)
        if was.sha256 == now.sha256:
            found += [(kind, Sourced(now, item.index, item.raw, item.make)) for kind, item in documents]
            continue
        again = _read(now, documents)
        if again is None or len(changed) + len(again) > FEW:
            return None
        found += [("Jail", item) for item in again]
        changed += again
    specs = assemble(tree, found)
    plain = all(specs.jails.get(item.name) is item for item in changed)
    return Edited(specs, frozenset(item.name for item in changed)) if plain and _flawless(specs, changed) else None


def _name(source: Source, root: Path) -> str:
    return source.location.removeprefix(str(root))


def _read(source: Source, before: Documents) -> list[Sourced[Any]] | None:
    """The documents of a file; None where they are not the same jails, or say more than was asked for."""
    from reconciler.spec.examine import read_source

    read = read_source(source)
    if read.problems or read.broken or not read.complete or len(read.found) != len(before):
        return None
    for (kind, item), (was_kind, was) in zip(read.found, before, strict=True):
        differing = {key for key in {*item.raw, *was.raw} if item.raw.get(key) != was.raw.get(key)}
        if kind != "Jail" or was_kind != "Jail" or not differing <= OWN or _reaches(item) or _reaches(was):
            return None
    return [item for _kind, item in read.found]


def _reaches(item: Sourced[Any]) -> bool:
    """Whether a jail has a volume that lies on another pool, or gets another name: others may meet it there."""
    return any(volume.pool or volume.renamed_from for volume in item.doc.volumes)


def _flawless(specs: SpecSet, changed: Iterable[Sourced[Any]]) -> bool:
    """Whether the rules have nothing to say of these jails by themselves."""
    from reconciler.spec.lint import lint

    found = [("Jail", item) for item in changed]
    found += [one for one in specs.documents() if one[0] != "Jail"]
    return not found or not lint(specs, found, {}, complete=False)
