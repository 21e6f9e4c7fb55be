"""`reconcile resume`: looks after a suspended jail again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.reconcile import Session


def resume(
    name: Annotated[str, typer.Argument(help="The suspended jail.")] = "",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what the next apply would do to it.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Instead of one jail: let the agent go on.")] = False,
) -> int:
    """Show what the next apply would do to a suspended jail, then take the mark away. Applies nothing.

    Exit status: 0 done, 1 failed, 64 usage.
    """
    from reconciler.cli import session, suspending
    from reconciler.cli.record import noted

    if bool(name) == everything:
        raise typer.BadParameter("name a jail, or say --all")
    run = session.pool_session(session.changing(host), specs, given.labels(label))
    if everything:
        return _everything(run, dry_run=dry_run)
    dataset = suspending.dataset(run, name)
    why = run.seen.rows[f"jails/{name}"].user.get("suspended", "")
    if not why:
        print(f"{name} is not suspended.")
        return 0
    _show(run, name, why)
    if dry_run:
        print("It stays suspended (--dry-run).")
        return 0
    with noted(run.host.url, run.specs.digest, name, f"resume {name}"):
        run.host.datasets.unset(dataset, suspending.PROPERTY)
    print(f"{name} is no longer suspended. Bring it to its spec: reconcile apply")
    return 0


def _everything(run: Session, *, dry_run: bool) -> int:
    """Show what the agent would do, then take its mark away and wake it."""
    from reconciler.agent.published import wake
    from reconciler.cli import agent_orders, render_plan, session
    from reconciler.cli.paper import paper
    from reconciler.cli.record import noted

    why = agent_orders.suspended(run.host, run.document.pool)
    if not why:
        print("The agent is not suspended.")
        return 0
    print(f"What the agent would do (suspended: {why}):\n")
    if run.selected.jails:
        print(render_plan.render(run.decide(), paper(), frozenset()))
    else:
        print("Nothing here knows its specs; name them: --specs PATH\n")
    _waiting(run)
    if dry_run:
        print("It stays suspended (--dry-run).")
        return 0
    with noted(run.host.url, run.specs.digest, "", "resume --all"):
        agent_orders.resume_all(run.host, run.document.pool)
    wake(session.run_folder())
    print("The agent is no longer suspended.")
    return 0


def _waiting(run: Session) -> None:
    """What a commit would do that came meanwhile, which a running agent holds ready."""
    from pathlib import Path

    from reconciler.agent.published import read_status
    from reconciler.cli import render_plan, session
    from reconciler.cli.paper import paper
    from reconciler.cli.show import visible
    from reconciler.reconcile import Options, Session
    from reconciler.spec.load import load

    said = read_status(session.run_folder()) or {}
    waiting = said.get("approval") if said.get("host") == run.host.url else None
    if waiting and waiting.get("specs"):
        commit, labels = waiting["commit"], said.get("labels", {}) | run.options.labels
        options = Options(Path(waiting["specs"]), labels, source=said["origin"])
        subject = f"{commit['sha'][:12]} {commit.get('subject', '')!r}"
        print(visible(f"What came meanwhile, {subject}, would do, once nothing else holds it:") + "\n")
        print(render_plan.render(Session(run.host, options, load(options.path)).decide(), paper(), frozenset()))


def _show(run: Session, name: str, why: str) -> None:
    """What the next apply would do, as if the jail were not suspended."""
    from dataclasses import replace

    from reconciler.cli import render_plan
    from reconciler.cli.paper import paper
    from reconciler.reconcile import Session

    if name not in run.chosen.jails:
        print(f"No spec names {name} (suspended: {why}): the next apply on the folder of specs may let it go.\n")
        return
    only = replace(run.options, only=frozenset({name}), resumed=frozenset({name}))
    print(f"What the next apply would do to {name} (suspended: {why}):\n")
    print(render_plan.render(Session(run.host, only, run.specs).decide(), paper(), only.only))


COMMAND = resume
