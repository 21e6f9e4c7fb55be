"""`reconcile drift`: what was changed on a host behind the specs' back. Changes nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.cli.drifting import Drift

DRIFTED = 2


def drift(
    path: given.SpecPath = Path("specs"),
    host: given.HostURL = "",
    label: given.Labels = None,
    only: given.Only = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare what running jails wrote into their roots.")
    ] = False,
    as_json: given.AsJSON = False,
) -> int:
    """Show what differs although the specs have not changed since the last good apply.

    Exit status: 0 no drift, 1 failed, 2 drift, 64 usage.
    """
    from reconciler.cli import drifting, session

    run = session.planning(session.options(path, given.labels(label), only=only), host)
    decided = run.decide()
    found = [item for item in drifting.drift(run, decided) if not only or item.scope in {"", *only}]
    wrote = drifting.deep(run, decided) if deep else []
    if as_json:
        print(json.dumps([asdict(item) for item in (*found, *wrote)], indent=2))
    else:
        _show(found, wrote)
        waiting = sorted(decided.desired.specs.jails.keys() - drifting.settled(decided))
        if waiting:
            print(f"Not compared, for their specs are not applied yet: {', '.join(waiting)}. See `reconcile plan`.")
    if deep and (unseen := drifting.unseen(run, decided)):
        print(f"Not looked into, for they do not run and were written to: {', '.join(unseen)}.", file=sys.stderr)
    return DRIFTED if found or wrote else 0


def _show(found: list[Drift], wrote: list[Drift]) -> None:
    from reconciler.cli.paper import many, paper

    on, scope = paper(), None
    for item in sorted([*found, *wrote], key=lambda one: (not one.scope, one.scope)):
        if item.scope != scope:
            scope = item.scope
            print(on.ink(scope or "(shared)", "bold"))
        print(on.row(f"  ~ {item.address}  {item.summary}", str(item.span or ""), "yellow"))
        for name, want, have in item.fields:
            text = f"{name}: {want or '(none)'} → {have or '(none)'}"
            print(f"      {on.ink(text, 'dim')}")
    if found:
        print(f"\n{many(len(found), 'thing')} drifted. `reconcile apply` puts right what `drift:` does not leave.")
    if wrote:
        print(f"\n{many(len(wrote), 'jail')} wrote what nothing declares. It stays until another root takes its place:")
        print("declare it under `volumes`, `keep` or `ignore` before that.")
    if not found and not wrote:
        print("No drift.")


COMMAND = drift
