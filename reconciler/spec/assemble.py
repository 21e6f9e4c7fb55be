"""Documents under their names: from what was read to a SpecSet. Light: nothing here loads pydantic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.model.diagnostic import Diagnostic
from reconciler.spec.files import Tree
from reconciler.spec.specset import Sourced, SpecSet


def assemble(tree: Tree, found: Iterable[tuple[str, Sourced[Any]]], warnings: tuple[Diagnostic, ...] = ()) -> SpecSet:
    """Put documents of each kind under their names, in the order of files."""
    groups: dict[str, dict[str, Sourced[Any]]] = {"Jail": {}, "Release": {}, "Package": {}, "Host": {}}
    for kind, item in found:
        group = groups[kind]
        key = item.name if item.name not in group else f"{item.name}@{','.join(item.hosts)}"
        group.setdefault(key, item)
    return SpecSet(
        root=tree.root,
        area=tree.area,
        digest=tree.digest,
        sources=tree.sources,
        jails=groups["Jail"],
        releases=groups["Release"],
        packages=groups["Package"],
        hosts=groups["Host"],
        warnings=warnings,
        is_folder=tree.is_folder,
    )
