"""Packages of one jail that write the same path: told by the plan, as far as their manifests are known here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.allocate import Allocation
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
    for name, allocation in allocated.items():
        layers = [one for one in allocation.chain.layers if isinstance(one.recipe, ApplyPackage | ApplyBuilt)]
        if len(layers) > 1 and any(layer.name not in there for layer in layers):
            packages: list[Applied] = []
            for layer in layers:
                assert isinstance(layer.recipe, ApplyPackage | ApplyBuilt)
                for sha256 in _digests(layer.recipe, seen):
                    if sha256 not in known:
                        known[sha256] = _manifest(cache, sha256)
                    manifest = known[sha256]
                    if manifest is not None:
                        packages.append(Applied(layer.recipe.name, manifest, layer.recipe.replaces, layer.where))
            found |= dict.fromkeys(diagnostics(name, conflicts(packages)))
    return tuple(found)


def _digests(recipe: ApplyPackage | ApplyBuilt, seen: Seen) -> Iterator[str]:
    if isinstance(recipe, ApplyPackage):
        yield recipe.sha256
        return
    layer = here(seen).get(recipe.tip)
    path = (seen.place.path(layer.snapshot) or "") if layer is not None else ""
    row = seen.rows.get(path)
    if row is not None and row.user.get("package"):
        yield row.user["package"]


def _manifest(cache: Cache, sha256: str) -> Manifest | None:
    try:
        return opened(cache.path(sha256)).manifest
    except FetchError:
        return None
