"""Carry out one recipe inside a build jail."""

from __future__ import annotations

from typing import assert_never

from reconciler.build.recipe import ApplyPackage, InstallPackages, Recipe, RunSegment
from reconciler.build.stage import stage_sources
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.command import Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.value import Ref

TAIL = 4000  # bytes of output an error shows


def perform(site: Site, room: Workspace, recipe: Recipe, ref: Ref, environment: tuple[str, str]) -> None:
    """Run the recipe; raises HostError (codes `package-apply-failed`, `pkg-failed`, `build-failed`)."""
    match recipe:
        case ApplyPackage():
            _apply(site, room, recipe, ref)
        case InstallPackages():
            _install(site, room, recipe, ref)
        case RunSegment():
            _run(site, room, recipe, ref, environment)
        case _:
            assert_never(recipe)


def _failed(code: str, summary: str, what: str, done: Completed, hint: str) -> HostError:
    tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
    detail = f"{what} ended with status {done.status}." + (f"\n{tail}" if tail else "")
    return HostError(Diagnostic(code, summary, detail, hint), argv=done.argv, status=done.status, stderr=tail)


def _apply(site: Site, room: Workspace, recipe: ApplyPackage, ref: Ref) -> None:
    for name, chunks in site.archive(recipe.source, ref):
        # The stream is unpacked by the root's own tar inside the jail: links resolve in there and nowhere else.
        # Names beyond ASCII are an error to tar in the locale C.
        done = room.exec(("env", "LC_ALL=C.UTF-8", "tar", "-xpf", "-", "-C", "/"), stdin=chunks, output=site.output(ref))
        if done.status:
            raise _failed(
                "package-apply-failed",
                "A jail package could not be unpacked",
                f"Unpacking {name}",
                done,
                "The layer was discarded; the jail goes on as it was.",
            )


def _install(site: Site, room: Workspace, recipe: InstallPackages, ref: Ref) -> None:
    done = site.host.packages.install(room.jail, recipe.names, output=site.output(ref))
    if done.status:
        raise _failed(
            "pkg-failed",
            "FreeBSD packages could not be installed",
            "pkg install " + " ".join(recipe.names),
            done,
            "The layer was discarded; the jail goes on as it was.",
        )


def _run(site: Site, room: Workspace, recipe: RunSegment, ref: Ref, environment: tuple[str, str]) -> None:
    before, after = environment
    files = site.host.files
    work = f"{room.path}.work"
    files.clear(work)
    files.mkdir(work, 0o700)
    env_file = f"{work}/env"
    saved = files.read(before)
    if saved is not None:
        files.write(env_file, saved)
    stage_sources(site, recipe, work)
    script = f"{work}/segment.sh"
    files.write(script, recipe.segment.script.encode())
    env = {
        **dict(recipe.env),
        "RECONCILER_JAIL": room.jail,
        "RECONCILER_ENV": env_file,
        "RECONCILER_SOURCES": f"{work}/sources",
        "RECONCILER_CONTEXT": f"{work}/context",
        "APPJAIL_JAILNAME": recipe.jail,
        "APPJAIL_JAILDIR": room.path,
        "APPJAIL_ROOTDIR": work,
    }
    done = room.script(script, env, site.output(ref))
    if done.status:
        first = recipe.segment.instructions[0].span
        raise _failed(
            "build-failed",
            "An instruction of the Makejail failed",
            f"{first}: segment {recipe.number} of {recipe.total} of jail {recipe.jail}",
            done,
            "The layer was discarded; the jail goes on as it was.",
        )
    now = files.read(env_file)
    if now is not None:
        files.mkdir(after.rpartition("/")[0], 0o700)
        files.write(after, now)
    files.clear(work)
