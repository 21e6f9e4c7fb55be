"""Packages that do not fit their jail, or write the same path: told by the plan, as far as manifests are known here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.allocate import Allocation
from reconciler.build.made import misfit, unfit
from reconciler.build.recipe import ApplyBuilt, ApplyPackage
from reconciler.cache import Cache
from reconciler.kind import Seen
from reconciler.kinds.layer import here
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.conflict import Applied, conflicts, diagnostics
from reconciler.packages.inspect import opened
from reconciler.packages.manifest import Manifest


def package_conflicts(allocated: Mapping[str, Allocation], seen: Seen, cache: Cache) -> tuple[Diagnostic, ...]:
    """What speaks against the packages of jails of which a layer is still to be made; once for equal chains.

    A package that was not downloaded or built yet is judged before its layer is made.
    """
    found: dict[Diagnostic, None] = {}
    there = here(seen)
    known: dict[str, Manifest | None] = {}
    facts = seen.observed.facts
    for name, allocation in allocated.items():
        layers = [one for one in allocation.chain.layers if isinstance(one.recipe, ApplyPackage | ApplyBuilt)]
        if all(layer.name in there for layer in layers):
            continue
        packages: list[Applied] = []
        for layer in layers:
            assert isinstance(layer.recipe, ApplyPackage | ApplyBuilt)
            manifest = _told(layer.recipe, seen, cache, known)
            if manifest is None:
                continue
            packages.append(Applied(layer.recipe.name, manifest, layer.recipe.replaces, layer.where))
            reason = unfit(layer.recipe, manifest, allocation.chain.release.name, facts.arch if facts else "")
            if reason and layer.name not in there:
                found[misfit(manifest, reason, layer.where)] = None
        found |= dict.fromkeys(diagnostics(name, conflicts(packages)))
    return tuple(found)


def _told(
    recipe: ApplyPackage | ApplyBuilt, seen: Seen, cache: Cache, known: dict[str, Manifest | None]
) -> Manifest | None:
    """The manifest of a package as far as it is known here; what is not verified yet is only looked at."""
    sha256 = recipe.sha256 if isinstance(recipe, ApplyPackage) else _built(recipe, seen)
    if sha256 and sha256 not in known:
        known[sha256] = _manifest(cache.path(sha256))
        beside = getattr(recipe.source, "source", None) if isinstance(recipe, ApplyPackage) else None
        if known[sha256] is None and isinstance(beside, Path):
            known[sha256] = _manifest(beside)
    return known.get(sha256)


def _built(recipe: ApplyBuilt, seen: Seen) -> str:
    layer = here(seen).get(recipe.tip)
    path = (seen.place.path(layer.snapshot) or "") if layer is not None else ""
    row = seen.rows.get(path)
    return row.user.get("package", "") if row is not None else ""


def _manifest(path: Path) -> Manifest | None:
    try:
        return opened(path).manifest
    except FetchError:
        return None
