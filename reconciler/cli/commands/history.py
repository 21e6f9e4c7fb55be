"""`reconcile history`: what was done, by the journal of this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.journal import RunRecord


def history(
    name: Annotated[str, typer.Argument(help="Only runs and steps of this jail.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=5000, help="Show at most this many runs.")] = 20,
    host: Annotated[
        str, typer.Option("--host", envvar="RECONCILER_HOST", help="Only runs on this host. [default: all hosts]")
    ] = "",
    as_json: given.AsJSON = False,
) -> int:
    """Show the latest runs that were started on this machine, newest first: on which host, and what they changed.

    Exit status: 0 done, 64 usage.
    """
    from reconciler.cli.record import journal
    from reconciler.hosts.open import identity

    opened = journal()
    runs = opened.history(limit, name or None, identity(host) if host else None)
    opened.close()
    if as_json:
        print(json.dumps([asdict(run) for run in runs], indent=2))
        return 0
    if not runs:
        what = f"{f' to {name}' if name else ''}{f' on {host}' if host else ''}"
        print(f"Nothing was done{what} yet, as far as this machine's journal goes back.")
    for run in runs:
        _run(run)
    return 0


def _run(run: RunRecord) -> None:
    from reconciler.cli.show import visible

    began = datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if run.ended is None:
        end = "did not end (it still runs, or it was killed)"
    else:
        end = f"{run.status} after {run.ended - run.started:.1f} s"
    commit = f"  commit {run.commit[:12]}" if run.commit else ""
    print(f"{began}  {visible(run.host)}  {visible(run.command)}{commit}  {end}")
    waited = sum(step.outcome == "blocked" for step in run.steps)
    for step in run.steps:
        if step.outcome == "blocked":
            continue
        name = visible(f"{step.scope or '(shared)'}: {step.action}")
        print(f"  {name} ... {step.outcome} ({step.seconds:.1f} s)")
        if step.outcome not in ("applied", "already-done") and step.detail:
            print(f"      {visible(step.detail)}")
    if waited:
        print(f"  {waited} more waited for what failed")


COMMAND = history
