"""`reconcile plan`: what would be done to a host, and why. Changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.cli.unchanged import Memory
    from reconciler.reconcile import Decided

DIFFERENCES = 2
Out = Annotated[
    Path | None, typer.Option("--out", help="Save the plan in this file, for `reconcile apply --plan FILE`.")
]
Detailed = Annotated[
    bool, typer.Option("--detailed-exitcode", help="Exit with status 2 when the host differs from the specs.")
]


def plan(
    path: given.SpecPath = Path("specs"),
    host: given.HostURL = "",
    label: given.Labels = None,
    only: given.Only = None,
    retry: given.Retry = None,
    mirror: given.Mirror = "",
    offline: given.Offline = False,
    as_json: given.AsJSON = False,
    out: Out = None,
    detailed_exitcode: Detailed = False,
    no_cache: given.NoCache = False,
) -> int:
    """Compare the specs with a host and show what `apply` would do. Nothing is changed.

    Exit status: 0 done, 1 failed or a jail is held back, 2 differences (with --detailed-exitcode), 64 usage.
    """
    kept = None if no_cache or as_json or out or retry or offline else _memory(path, host, given.labels(label), only)
    if kept is not None and (answer := kept.recall()) is not None:
        print(answer, end="")
        return 0
    from reconciler.cli import levels, plan_json, saved_plan, session, show

    asked = session.options(path, given.labels(label), only=only, retry=retry, offline=offline)
    run = session.planning(asked, host, cached=not no_cache, earlier=kept.earlier if kept else None)
    # Whoever asks for JSON or for a plan to keep gets both worlds; the others only want to know.
    found = run.decide() if as_json or out is not None else run.compare()
    run, decided = levels.settled(run, found, mirror, None)
    if out is not None:
        saved_plan.save(out, run, decided, mirror)
    if as_json:
        print(plan_json.document(run, decided).model_dump_json(indent=2))
    else:
        show.show(run.specs.warnings)
        text = _print(decided, run.options.only, run.host.url)
        if kept is not None:
            kept.remember(run, decided, text)
    failing = any(note.failing for note in decided.plan.notes)
    return 1 if failing else DIFFERENCES if detailed_exitcode and not decided.plan.empty else 0


def _memory(path: Path, host: str, labels: dict[str, str], only: list[str] | None) -> Memory | None:
    from reconciler.cli import unchanged

    return unchanged.memory(path, host, labels, only)


def _print(decided: Decided, only: frozenset[str], host: str) -> str:
    from reconciler.cli import render_plan, show
    from reconciler.cli.paper import paper

    text = render_plan.render(decided, paper(), only, host)
    print(text, end="")
    if decided.refusals:
        print("\n`reconcile apply` would refuse this plan:\n")
        show.show(decided.refusals, sys.stdout)
    return text


COMMAND = plan
