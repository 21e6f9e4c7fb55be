"""`reconcile status`: how each jail is. Changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.cli.overview import Status
    from reconciler.reconcile import Session

OFF = 2


def status(
    name: Annotated[str, typer.Argument(help="Show only this jail, with everything about it.")] = "",
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    as_json: given.AsJSON = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="For monitoring: ask the update server, look into every running root, and end with 2 as well when "
            "a jail is behind its release's newest patch level, past its end of life, or that is unknown.",
        ),
    ] = False,
) -> int:
    """Show each jail: what its spec says, what it was built from, how it is now, and how far behind.

    Without --check the newest patch level is what the update server last said to this machine.
    Exit status: 0 all is well, 1 failed, 2 some jail is not as its spec says, 64 usage.
    """
    from reconciler.cli import session
    from reconciler.cli.lagging import lagging, unwell
    from reconciler.cli.overview import overview
    from reconciler.model.diagnostic import Diagnostic, SpecError

    run = session.pool_session(session.reading(host), specs, given.labels(label))
    found = overview(run, run.decide(), name, look=check)
    if name and not found:
        detail = f"{name} is in no spec, and {run.document.pool} has no such jail."
        raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, "reconcile status"))
    found = lagging(run, found, ask=check)
    if as_json:
        print(json.dumps([asdict(item) for item in found], indent=2))
    elif name:
        _one(found[0])
    else:
        _agent(run)
        _all(found)
    bad = (unwell(item) if check else item.off for item in found)
    return OFF if any(bad) else 0


def _agent(run: Session) -> None:
    """What the agent does, where one runs for this host; else whether any agent of this pool is suspended."""
    from reconciler.cli import session
    from reconciler.cli.show import visible

    if (session.run_folder() / "agent.json").exists():
        from reconciler.agent.published import read_status
        from reconciler.cli.agent_words import lines

        said = read_status(session.run_folder())
        if said is not None and said.get("host") == run.host.url:
            print("\n".join(lines(said)) + "\n")
            return
    from reconciler.cli.agent_orders import suspended

    if why := suspended(run.host, run.document.pool):
        print(
            visible(f"! agent: suspended: {why}. It changes nothing, wherever it runs: reconcile resume --all") + "\n"
        )


def _all(found: list[Status]) -> None:
    from reconciler.cli.paper import table
    from reconciler.cli.show import visible

    if not found:
        print("No jails.")
        return
    rows = [("NAME", "STATE", "RELEASE", "BUILT FROM", "BEHIND", "SUPPORT", "ROOT", "CHANGED", "")]
    for item in found:
        same = item.declared in ("", item.observed)
        state = item.observed if same else f"{item.observed}, not {item.declared}"
        root = str(item.live or "-") if item.live == item.good else f"{item.live or '-'} (good: {item.good or '-'})"
        release = item.release_declared or "-"
        mark = "!" if item.off else ""
        behind = "?" if item.behind is None else str(item.behind)
        support = {"supported": item.until, "eol": f"EOL {item.until}"}.get(item.support, item.support)
        built = item.release_recorded or "-"
        rows.append((item.name, state, release, built, behind, support, root, item.changed or "-", mark))
    print("\n".join(table(rows)))
    for item in found:
        for note in item.notes:
            print(f"! {item.name}: {visible(note)}")


def _one(item: Status) -> None:
    from reconciler.cli.show import visible

    within = f"{item.release_observed} is what its root says" if item.release_observed else "its root was not looked at"
    facts = (
        ("state", f"{item.observed} (spec: {item.declared or 'none'})"),
        ("release", f"{item.release_declared or 'none'} in the spec"),
        ("", f"{item.release_recorded or 'nothing'} is what its root was built from"),
        ("", within),
        ("newest", f"{item.newest or 'unknown: reconcile status --check asks'}{_lack(item)}"),
        ("support", f"{item.support}{f', until {item.until}' if item.until else ''}"),
        ("root", f"{item.live or 'none'} live, {item.good or 'none'} last good"),
        ("changed", item.changed or "not by this machine, as far as its journal goes back"),
    )
    print(item.name)
    for key, value in facts:
        print(f"  {key:<9}{visible(value)}")
    for note in item.notes:
        print(f"  ! {visible(note)}")


def _lack(item: Status) -> str:
    return f", and it lacks {item.behind}" if item.behind else ""


COMMAND = status
