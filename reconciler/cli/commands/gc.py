"""`reconcile gc`: frees the space of releases and layers that nothing needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.cli.garbage import Garbage
    from reconciler.kinds.workplace import Workplace
    from reconciler.reconcile import Session

REFUSED = 3


def gc(
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
) -> int:
    """Destroy releases and layers that no root, layer or spec needs, packages in the store that no spec names, and
    what interrupted work left behind.

    Roots and volumes are never touched, nor anything that others cloned or snapshotted.
    Exit status: 0 done, 1 failed, 3 refused, 64 usage.
    """
    from reconciler.cli import session, show
    from reconciler.cli.garbage import garbage, packages, workplace
    from reconciler.cli.lock import locked
    from reconciler.kinds.workplace import ClearWorkplace, Workplace
    from reconciler.model.diagnostic import Refused

    host_ = (session.reading if dry_run else session.changing)(host)
    run = session.pool_session(host_, specs, given.labels(label))
    if dry_run:
        _show(garbage(run), workplace(run), packages(run))
        return 0
    try:
        with locked(host_, run.document.pool, "gc"):
            left = workplace(run)
            if left.facts():
                ClearWorkplace(left, Workplace(left.name)).apply(session.site(run))
                run = session.pool_session(host_, specs, given.labels(label))
            found, archives = garbage(run), packages(run)
            _show(found, left, archives)
            _take(run, found, archives)
    except Refused as error:
        show.show(error.diagnostics)
        return REFUSED
    return 0


def _show(found: list[Garbage], left: Workplace, archives: Mapping[str, str]) -> None:
    from reconciler.cli.paper import paper, size

    on = paper()
    for jail in left.jails:
        print(on.row(f"  - build jail {jail}  its build failed and was kept, or was interrupted", "", "red"))
    for item in found:
        print(on.row(f"  - {item.name}  {item.why}", size(item.size), "red"))
    for name, why in sorted(archives.items()):
        print(on.row(f"  - package {name[:12]}  {why}", "", "red"))
    said = _said(found, archives)
    print(f"{said}." if said else "Nothing to collect.", flush=True)


def _said(found: list[Garbage], archives: Mapping[str, str]) -> str:
    """How much goes, in words; empty for nothing."""
    from reconciler.cli.paper import many, size

    total = size(sum(item.size for item in found))
    kept = [many(len(archives), "package")] if archives else []
    return ", ".join([*([f"{many(len(found), 'dataset')}, {total}"] if found else []), *kept])


def _take(run: Session, found: list[Garbage], archives: Mapping[str, str]) -> None:
    """Collect it, on record where there is anything."""
    from reconciler.cli.garbage import environments
    from reconciler.cli.record import noted

    said = _said(found, archives)
    with noted(run.host.url, run.specs.digest, "", f"gc: {said}") if said else nullcontext():
        for path in environments(run, found):
            run.host.files.remove(path)
        _collect(run, found, archives)


def _collect(run: Session, found: list[Garbage], archives: Iterable[str]) -> None:
    from reconciler.cli.garbage import HOLD
    from reconciler.cli.paper import size
    from reconciler.model.diagnostic import HostError
    from reconciler.packages.store import Store

    store = Store(run.host, run.place.pool, run.place.mountpoint)
    for name in archives:
        store.remove(name)
    for path in store.fetching():
        run.host.files.clear(path)
    for item in found:
        for snapshot in item.snapshots:
            try:
                run.host.datasets.release(HOLD, snapshot)
            except HostError as error:  # a kill between snapshot and hold leaves it without
                if "no such tag" not in error.stderr:
                    raise
            run.host.datasets.destroy(snapshot)
        run.host.datasets.destroy(item.name)
    if found:
        print(f"Freed {size(sum(item.size for item in found))}.")


COMMAND = gc
