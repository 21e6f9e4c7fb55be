"""Carry out one recipe inside a build jail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from reconciler.build.image import apply_image
from reconciler.build.kept import install, keep
from reconciler.build.locked import as_locked
from reconciler.build.made import opened
from reconciler.build.recipe import ApplyBuilt, ApplyImage, ApplyPackage, InstallPackages, Recipe, RunSegment
from reconciler.build.segment import DISCARDED, TAIL, run
from reconciler.build.unpack import UNPACK, unpack
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.command import Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.value import Ref


def perform(site: Site, room: Workspace, recipe: Recipe, ref: Ref, environment: tuple[str, str], timeout: float) -> str:
    """Run the recipe; says what it left besides files, "" for nothing. `timeout` (s) is for a segment.

    Raises HostError (codes `image-apply-failed`, `package-apply-failed`, `pkg-failed`, `pkg-not-as-locked`,
    `pkg-not-kept`, `build-failed`, `build-timeout`).
    """
    match recipe:
        case ApplyPackage() | ApplyBuilt():
            _apply(site, room, recipe, ref)
        case ApplyImage():
            apply_image(site, room, recipe, ref)
        case InstallPackages():
            with _locked(site, room, recipe, ref):
                _install(site, room, recipe, ref)
        case RunSegment():
            with _locked(site, room, recipe, ref):
                return run(site, room, recipe, ref, environment, timeout)
        case _:
            assert_never(recipe)
    return ""


@contextmanager
def _locked(site: Site, room: Workspace, recipe: InstallPackages | RunSegment, ref: Ref) -> Iterator[None]:
    """Have the archives of what is pinned, and hold what is installed to the lock."""
    if recipe.kept is not None:
        keep(site, room, recipe.kept, ref)
    with as_locked(site, room, recipe.pins, kept=recipe.kept is not None):
        yield


def _failed(code: str, summary: str, what: str, done: Completed, hint: str) -> HostError:
    tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
    detail = f"{what} ended with status {done.status}." + (f"\n{tail}" if tail else "")
    return HostError(Diagnostic(code, summary, detail, hint), argv=done.argv, status=done.status, stderr=tail)


def _apply(site: Site, room: Workspace, recipe: ApplyPackage | ApplyBuilt, ref: Ref) -> None:
    manifest, chunks = opened(site, recipe, ref)
    if manifest is not None:
        unpack(room, recipe.name, manifest, chunks, site.output(ref))
    else:
        # The stream is unpacked by the root's own tar inside the jail: links resolve in there and nowhere else.
        done = room.exec(UNPACK, stdin=chunks, output=site.output(ref))
        if done.status:
            raise _failed(
                "package-apply-failed",
                "A jail package could not be unpacked",
                f"Unpacking {recipe.name}",
                done,
                DISCARDED,
            )


def _install(site: Site, room: Workspace, recipe: InstallPackages, ref: Ref) -> None:
    if recipe.kept is not None:
        done = install(site, room, recipe.kept, recipe.names, ref)
    else:
        done = site.host.packages.install(room.jail, recipe.names, output=site.output(ref))
    if done.status:
        raise _failed(
            "pkg-failed",
            "FreeBSD packages could not be installed",
            "pkg install " + " ".join(recipe.names),
            done,
            DISCARDED,
        )
