"""Recording with unionfs, from the command line: the jail is stopped for its begin and its end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.build import recorded, union
from reconciler.build.reading import Difference
from reconciler.build.recorded import UPPER, Recording
from reconciler.cli import session
from reconciler.cli.paper import many
from reconciler.cli.show import visible
from reconciler.kinds.jail import sweep
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.reconcile import Session

LIMITS = """\
Limits of a union, which recording without --method unionfs has not:
- What is copied up loses its file flags, extended attributes and ACLs, and is no hard link any more. `package build`
  takes the first three from the root below and says of which files; hard links it can only name.
- What the jail does lies in the upper folder alone. In memory it is lost when the host starts again.
- mount_unionfs(8) of FreeBSD 15.1 itself warns that it is not fully supported and may destroy data."""
_SHOWN = 8


@dataclass(frozen=True)
class Union:
    """What the command line says of a union: the folder that takes the upper one ("": one of memory is made), how
    many bytes that of memory may take, and whether a running jail may be stopped and started again."""

    folder: str = ""
    size: int = 2 * 1024**3
    restart: bool = False


def start(run: Session, jail: str, snapshot: str, now: str, asked: Union) -> None:
    """Make the upper folder, note it on the snapshot, and have the jail start over it.

    Raises SpecError (`recording-needs-stop`), and HostError (`recording-upper-unfit` among others).
    """
    site = session.site(run)
    _refuse_running(run, jail, restart=asked.restart)
    upper = union.prepare(site, jail, hashlib.sha256(now.encode()).hexdigest()[:8], asked.folder, asked.size)
    with _stopped(run, site, jail):
        recorded.mark(site, snapshot, f"{now}{UPPER}{upper}")
        union.write(site, jail, upper)
    print(f"{upper} is laid over the root of {jail}.\n{LIMITS}\n")


def stop(run: Session, found: Recording, now: str, *, restart: bool) -> None:
    """Take the union from the root, then note the end. Raises SpecError and HostError as `start`, and
    SpecError (`recording-lost`)."""
    site = session.site(run)
    check(site, found)
    _refuse_running(run, found.jail, restart=restart)
    with _stopped(run, site, found.jail):
        union.write(site, found.jail, "")
        recorded.mark(site, found.last, now)
    print(f"{found.jail} is as it was before; what it did since lies in {found.upper} until a package is built of it.")


def discard(run: Session, found: Recording, *, restart: bool) -> None:
    """Take the union from the root, and what it holds away. Raises as `start`."""
    site = session.site(run)
    if found.stopped:
        union.discard(site, found.jail, found.upper)
        return
    if union.is_there(site, found.upper):
        _refuse_running(run, found.jail, restart=restart)
    with _stopped(run, site, found.jail):
        union.write(site, found.jail, "")
        union.discard(site, found.jail, found.upper)


def check(site: Site, found: Recording) -> None:
    """Refuse to go on with a folder that is gone. Raises SpecError (code `recording-lost`)."""
    if not union.is_there(site, found.upper):
        detail = f"{found.upper} is gone, with what {found.jail} did since {found.started}: its file system was "
        detail += "unmounted, as one of memory is when the host stops. The root was not touched by it."
        hint = f"reconcile package record discard {found.jail}"
        raise SpecError(Diagnostic("recording-lost", "What was recorded is gone", detail, hint))


def _runs(run: Session, jail: str) -> bool:
    live = run.place.folder(f"live/{jail}")
    return any(row.name == jail and row.path == live for row in run.observed.jails)


def _refuse_running(run: Session, jail: str, *, restart: bool) -> None:
    live = run.place.folder(f"live/{jail}")
    mounted = any(row.target == live and row.fstype == "unionfs" for row in run.observed.mounts)
    if _runs(run, jail) and not restart:
        detail = f"{jail} runs, and what its processes have open would go past a union. Nothing was done."
        if mounted:
            detail = f"{jail} runs over the union, which cannot be taken from under it. Nothing was done."
        hint = (
            f"Stop it and start it again for that: --restart\nor stop it yourself: service reconciler_jails stop {jail}"
        )
        raise SpecError(Diagnostic("recording-needs-stop", "The jail has to be stopped for this", detail, hint))


@contextmanager
def _stopped(run: Session, site: Site, jail: str) -> Iterator[None]:
    """While the context lasts the jail does not run, and nothing of it is mounted; then it runs again if it did."""
    conf, runs = run.place.folder(f"jails/{jail}/jail.conf"), _runs(run, jail)
    if runs:
        print(f"stopping {jail}", flush=True)
        run.host.jails.stop(conf, jail)
    sweep(site, jail)
    try:
        yield
    finally:
        if runs:
            print(f"starting {jail}", flush=True)
            run.host.jails.start(conf, jail)


def listed(run: Session) -> Iterator[str]:
    """A line for each jail of the pool that is recorded, however that is done."""
    for jail, found in sorted(recorded.recordings(run.seen.rows).items()):
        how = f", with unionfs into {found.upper}" if found.upper else ""
        if found.upper and not union.may_be_there(run.observed.mounts, found.upper):
            how += ", which is gone"
        until = f" to {found.stopped}" if found.stopped else ", and goes on"
        yield f"{jail} is recorded from {found.started}{until}{how}"


def said(found: Difference) -> Iterator[str]:
    """What a union lost, and what was done about it."""
    for what, paths in found.lost.items():
        names = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
        if what == "hard link":
            yield visible(f"warning: no hard links any more, as a union copies one name: {names}")
        else:
            yield visible(
                f"{what} taken from the root below, for a union loses them ({many(len(paths), 'name')}): {names}"
            )
