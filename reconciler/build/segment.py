"""Run one segment of a Makejail: its script on the host, which reaches into the build jail.

A failure names the instruction that was at work, by its file and line.
"""

from __future__ import annotations

from reconciler.build.beside import beside
from reconciler.build.kept import lay_out
from reconciler.build.recipe import RunSegment
from reconciler.build.stage import stage_pinned, stage_sources
from reconciler.build.workspace import Workspace
from reconciler.makejail.segments import Instruction
from reconciler.model.action import Site
from reconciler.model.command import Completed, Output
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.value import Ref
from reconciler.runtime.shim import APPJAIL, PATH

TAIL = 4000  # bytes of output an error shows
TIMEOUT = 3600.0
"""Seconds that a segment may take where nobody says otherwise."""
DISCARDED = "The layer was discarded; the jail goes on as it was."


class End:
    """The end of an output, kept while it passes on."""

    def __init__(self, to: Output) -> None:
        """Pass everything on to `to`."""
        self._to = to
        self._kept = bytearray()

    def __call__(self, data: bytes) -> None:
        """Take a chunk."""
        self._kept += data
        del self._kept[:-TAIL]
        self._to(data)

    @property
    def text(self) -> str:
        """The last lines, whole ones where there are several."""
        text = bytes(self._kept).decode("utf-8", "replace")
        return (text.partition("\n")[2] or text if len(self._kept) == TAIL else text).strip()


def run(
    site: Site, room: Workspace, recipe: RunSegment, ref: Ref, environment: tuple[str, str], timeout: float
) -> str:
    """Run it and say what it left besides files: processes and mounts; "" for nothing.

    `environment` are the files of the shell's saved state: where it is taken from (it may be absent), and
    where it goes. Raises HostError (codes `build-failed`, `build-timeout`).
    """
    before, after = environment
    files = site.host.files
    files.clear(room.work)
    for folder in ("", "/bin"):
        files.mkdir(room.work + folder, 0o700)
    saved = files.read(before)
    if saved is not None:
        files.write(f"{room.work}/env", saved)
    stage_sources(site, recipe, room.work)
    stage_pinned(site, recipe, ref, room.work)
    files.write(f"{room.work}/bin/appjail", APPJAIL.encode(), 0o700)
    files.write(f"{room.work}/segment.sh", recipe.segment.script.encode())
    kept = lay_out(site, room, recipe.kept, recipe.segment.packages) if recipe.kept is not None else {}
    end = End(site.output(ref))
    try:
        with beside(site, room, recipe.others) as jails:
            named = {"RECONCILER_BESIDE": " ".join(f"{name}={jail}" for name, jail in jails.items())}
            done = room.script(f"{room.work}/segment.sh", {**_variables(room, recipe), **kept, **named}, end, timeout)
    except HostError as error:
        if error.diagnostics[0].code == "host-timeout":
            raise _too_long(site, room, recipe, end, timeout) from error
        raise
    if done.status:
        raise _failed(site, room, recipe, end, done)
    left = left_behind(site, room)
    now = files.read(f"{room.work}/env")
    if now is not None:
        files.mkdir(after.rpartition("/")[0], 0o700)
        files.write(after, now)
    files.clear(room.work)
    return left


def _variables(room: Workspace, recipe: RunSegment) -> dict[str, str]:
    """What scripts of a Makejail find in their environment, ours and AppJail's."""
    return {
        "PATH": f"{room.work}/bin:{PATH}",
        # For pkg(7), which asks before it fetches pkg(8); inside the jail nothing of this is seen.
        "ASSUME_ALWAYS_YES": "yes",
        **dict(recipe.env),
        "RECONCILER_JAIL": room.jail,
        "RECONCILER_ENV": f"{room.work}/env",
        "RECONCILER_AT": f"{room.work}/at",
        "RECONCILER_SOURCES": f"{room.work}/sources",
        "RECONCILER_CONTEXT": f"{room.work}/context",
        "RECONCILER_INCLUDED": f"{room.work}/included",
        "RECONCILER_PINNED": f"{room.work}/pinned",
        "APPJAIL_JAILNAME": recipe.jail,
        "APPJAIL_JAILDIR": room.path,
        "APPJAIL_ROOTDIR": room.work,
        "APPJAIL_SCRIPT": f"{room.work}/bin/appjail",
    }


def left_behind(site: Site, room: Workspace) -> str:
    """What lives beside the files now: no snapshot holds it, so that no later build may begin from here."""
    mounts = sorted(m.target for m in site.observe("mounts").mounts if m.target.startswith(f"{room.path}/"))
    found = [f"process {process}" for process in site.host.jails.processes(room.jail)]
    found += [f"mount {target.removeprefix(room.path)}" for target in mounts if target != f"{room.path}/dev"]
    return "; ".join(found)


def _at(site: Site, room: Workspace, recipe: RunSegment) -> Instruction:
    """The instruction that was at work; the first where nothing was said yet."""
    told = (site.host.files.read(f"{room.work}/at") or b"").strip()
    number = int(told) if told.isdigit() else 0
    every = recipe.segment.instructions
    return every[number] if number < len(every) else every[0]


def _place(one: Instruction, recipe: RunSegment) -> str:
    return f"{one.span}: {one.name} (segment {recipe.number} of {recipe.total} of jail {recipe.jail})"


def _failed(site: Site, room: Workspace, recipe: RunSegment, end: End, done: Completed) -> HostError:
    one = _at(site, room, recipe)
    detail = f"{_place(one, recipe)} ended with status {done.status}." + (f"\n{end.text}" if end.text else "")
    found = Diagnostic("build-failed", "An instruction of the Makejail failed", detail, DISCARDED, one.span)
    return HostError(found, argv=done.argv, status=done.status, stderr=end.text)


def _too_long(site: Site, room: Workspace, recipe: RunSegment, end: End, timeout: float) -> HostError:
    one = _at(site, room, recipe)
    detail = f"{_place(one, recipe)} was not done after {timeout:g} seconds and was ended."
    detail += f"\n{end.text}" if end.text else ""
    hint = f"{DISCARDED} To give it more: reconcile build {recipe.jail} --timeout SECONDS"
    return HostError(
        Diagnostic("build-timeout", "An instruction of the Makejail took too long", detail, hint, one.span),
        stderr=end.text,
    )
