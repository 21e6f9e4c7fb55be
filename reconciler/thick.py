"""Roots of jails with `update: {strategy: in_place}`: whole copies, which keep what the jail wrote.

When only the patch level of the release moves, the next generation is a copy of the stopped live one, patched. When
anything else of the chain changes, it is built from that chain, as any other jail's. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.kind import digest
from reconciler.kinds.root import Root

if TYPE_CHECKING:
    from reconciler.allocate import Chain


def thick(chain: Chain, root: Root, roots: list[Root], live: int, platform: str) -> tuple[Chain, Root]:
    """The chain and the root of such a jail. A root that is here, or is copied from the live one, needs no layer."""
    release = chain.release
    sets = tuple(release.source.sets) if release.source is not None else ("base",)
    lasting = _lasting(chain, platform)
    root = replace(root, thick=True, chain=lasting, release=release.release, level=release.level, sets=sets)
    bare = replace(chain, layers=(), beside=())
    if any(one.digest == root.digest for one in roots):
        return bare, replace(root, tip=release.ref)
    old = next((one for one in roots if one.number == live), None)
    if old is not None and old.chain == root.chain and 0 <= old.level <= release.level:
        return bare, replace(root, tip=release.ref, carried=old.level)
    return chain, root


def _lasting(chain: Chain, platform: str) -> str:
    """What the chain is whatever the patch level: the release's name, and every recipe."""
    found = digest("in_place", chain.release.release)
    for layer in chain.layers:
        found = layer.recipe.digest(found, platform) if layer.recipe is not None else found
    return found
