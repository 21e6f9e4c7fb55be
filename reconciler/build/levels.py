"""Bring a tree to another patch level, by what its base system is made of: distribution sets, or packages."""

from __future__ import annotations

from reconciler.build import packaged
from reconciler.build.patch import Patched, Wanted, patch
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.value import Ref


def reach(site: Site, room: Workspace, wanted: Wanted, ref: Ref) -> Patched:
    """Patch the tree mounted at the room's place; no jail runs over it before and after.

    Raises HostError as `patch.patch` and `packaged.upgrade`.
    """
    found = packaged.packages_of(site, room)
    return packaged.upgrade(site, room, wanted, found, ref) if found else patch(site, room, wanted, ref)
