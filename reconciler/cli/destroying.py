"""Take a jail, or a volume, away for good; whatever ends this half-way, doing it again goes on."""

from __future__ import annotations

from reconciler.cli import session as sessions
from reconciler.cli.asking import type_the_name
from reconciler.cli.kept import Belongings, belongings, jail_paths, refuse_strangers, volume_paths
from reconciler.cli.lock import locked
from reconciler.cli.paper import many, paper, size
from reconciler.cli.record import noted
from reconciler.kinds.jail import sweep
from reconciler.model.diagnostic import Diagnostic, Refused, SpecError
from reconciler.reconcile import Session


def destroy(run: Session, name: str, *, yes: bool) -> None:
    """Show, ask, stop, destroy. Raises Refused, SpecError (`unknown-jail`), HostError."""
    jail, slash, volume = name.partition("/")
    with locked(run.host, run.document.pool, f"destroy {name}"):
        _refuse_declared(run, jail, volume)
        _refuse_protected(run, jail)
        # `web/` is what a script makes of web/$VOLUME when there is none: it never means the whole jail.
        paths = list(volume_paths(run.seen, name) if slash else jail_paths(run.seen, jail))
        if not paths:
            detail = f"{run.document.pool} holds nothing of '{name}'."
            raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, "reconcile status"))
        found = belongings(run.seen, paths)
        _show(name, found)
        refuse_strangers(found)
        if volume:
            _refuse_mounted(run, name, found)
        type_the_name(name, yes=yes)
        with noted(run.host.url, run.specs.digest, jail, f"destroy {name}"):
            if not volume:
                _stop(run, jail)
            _take(run, found)
        print(f"{name} is destroyed: {many(len(found.datasets), 'dataset')}, {size(found.size)}.")


def _refuse_declared(run: Session, jail: str, volume: str) -> None:
    sourced = run.chosen.jails.get(jail)
    if sourced is None:
        return
    if volume and all(spec.name != volume for spec in sourced.doc.volumes):
        return
    what = f"volume {jail}/{volume}" if volume else f"jail {jail}"
    raise Refused(
        Diagnostic(
            "still-declared",
            "A spec still asks for this",
            f"{sourced.file} names the {what}: the next apply would make it again, empty. Nothing was changed.",
            "Take it out of the spec first, and apply.",
            sourced.place(("volumes",) if volume else ()),
        )
    )


def _refuse_protected(run: Session, jail: str) -> None:
    row = run.seen.rows.get(f"jails/{jail}")
    if row is not None and row.user.get("protect") == "on":
        detail = f"{jail} is marked protect: true. Nothing was changed."
        hint = f"zfs inherit reconciler:protect {row.name}"
        raise Refused(Diagnostic("jail-protected", "A protected jail would go", detail, hint))


def _refuse_mounted(run: Session, name: str, found: Belongings) -> None:
    names = {row.name for row in found.datasets}
    for mount in run.observed.mounts:
        if mount.source in names:
            detail = f"{name} is mounted on {mount.target}. Nothing was changed."
            hint = "Apply the specs without it, so that the jail starts again without the volume."
            raise Refused(Diagnostic("volume-mounted", "The volume is in use", detail, hint))


def _show(name: str, found: Belongings) -> None:
    on = paper()
    print(on.ink(f"{name}: {many(len(found.datasets), 'dataset')}, {size(found.size)} would be destroyed", "bold"))
    for row in found.datasets:
        print(on.row(f"  - {row.name}", size(row.used), "red"))
    for row in found.snapshots:
        print(on.row(f"  - {row.name}", size(row.used), "red"))
    for snapshot in found.recordings:
        print(on.row(f"  ! {snapshot}", "a recording", "yellow"))
    for snapshot in found.foreign:
        print(on.row(f"  ! {snapshot}", "not ours", "yellow"))
    for clone, origin in found.clones:
        print(on.row(f"  ! {clone}", f"clone of {origin}", "yellow"))
    print(flush=True)


def _stop(run: Session, jail: str) -> None:
    """Stop it with its own configuration while that is still there, then sweep its mounts."""
    site = sessions.site(run)
    live = run.place.folder(f"live/{jail}")
    if any(row.name == jail and row.path == live for row in run.observed.jails):
        print(f"stopping {jail}", flush=True)
        run.host.jails.stop(f"{run.place.folder(f'jails/{jail}')}/jail.conf", jail)
    sweep(site, jail)


def _take(run: Session, found: Belongings) -> None:
    """Snapshots of ours, then their datasets, children before parents: never recursively."""
    for row in found.datasets:
        for snapshot in found.snapshots:
            if snapshot.name.startswith(f"{row.name}@"):
                run.host.datasets.destroy(snapshot.name)
        run.host.datasets.destroy(row.name)
        # The place where it was mounted may outlive it; a folder without a jail.conf is an error at every boot.
        if row.mountpoint.startswith(run.place.mountpoint + "/"):
            run.host.files.rmdir(row.mountpoint)
