"""`reconcile package list`: the packages that a pool keeps, or that lie in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.packages.store import Note


def list_(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of archives. [default: the store of the pool]")
    ] = None,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    as_json: given.AsJSON = False,
) -> int:
    """List the packages of the pool and the recordings of its jails, or the packages in a folder.

    Shown are name, version, what they are for, size, whether a signature lies beside them, digest. Manifests of
    a folder are read, not verified; see `verify`. Exit status: 0 listed, 1 failed, 64 usage.
    """
    from reconciler.cli import show, storing, unions
    from reconciler.model.diagnostic import Diagnostic, ReconcilerError
    from reconciler.packages.inspect import digest

    bad: list[Diagnostic] = []
    notes, recorded = {}, list[str]()
    if folder is None:
        run, store = storing.pool(specs, host, given.labels(label), change=False)
        notes, recorded = store.all(), list(unions.listed(run))
    else:
        for path in storing.archives(folder):
            try:
                notes[digest(path)] = storing.note_here(path)
            except ReconcilerError as error:
                bad += error.diagnostics
    print(_as_json(notes) if as_json else "\n".join([*(storing.rows(notes) if notes else ["No packages."]), *recorded]))
    show.show(bad)
    return 1 if bad else 0


def _as_json(notes: dict[str, Note]) -> str:
    from dataclasses import asdict
    from json import dumps

    return dumps([{"sha256": sha256, **asdict(note)} for sha256, note in sorted(notes.items())], indent=2)


VERB = list_
