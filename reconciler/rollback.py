"""Put a jail back to its last good root after a start or a check failed.

The files of the last good configuration lie in the jail's folder below `previous/`, written before they
were replaced. A root that failed is marked as rejected with the inputs it was made from, so that the
next run holds instead of trying again.
"""

from __future__ import annotations

from reconciler.kind import Place, Seen
from reconciler.kinds.config import FOREIGN, generation
from reconciler.kinds.jail import sweep
from reconciler.kinds.verdict import Verdict
from reconciler.model.action import Plan, Site, Step
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ports import DatasetRow

PREVIOUS = "previous"


def recover(site: Site, step: Step, plan: Plan, place: Place) -> tuple[Diagnostic, ...]:
    """Point back when the live root is not the good one; says what was done, or why nothing could be.

    Raises HostError when the way back fails too.
    """
    jail = step.scope
    if not jail:
        return ()
    dataset = f"{site.pool}/jails/{jail}"
    seen = Seen.of(place, site.observe("datasets", "files", "jails", roots=(dataset,), below=(f"jails/{jail}",)))
    row = seen.rows.get(f"jails/{jail}")
    good = int(row.user["good"]) if row and row.user.get("good", "").isdigit() else 0
    files = seen.observed.files
    live = generation(files.get(f"jails/{jail}/fstab"), place, jail)
    previous = {
        path.removeprefix(f"jails/{jail}/{PREVIOUS}/"): data
        for path, data in files.items()
        if path.startswith(f"jails/{jail}/{PREVIOUS}/")
    }
    wanted = next((r for r in plan.wanted.values() if isinstance(r, Verdict) and r.name == jail), None)
    if not good or not previous or generation(previous.get("fstab"), place, jail) != good:
        return _nothing(jail, good)
    if row and wanted is not None and _settled(row, wanted, plan):
        return _nothing(jail, good)
    folder = f"{site.mountpoint}/jails/{jail}"
    running = next((r for r in seen.observed.jails if r.name == jail), None)
    if running is not None and running.path != place.folder(f"live/{jail}"):
        # Somebody else's jail of that name: it is not stopped, and while it runs ours cannot start.
        return _nothing(jail, good)
    if running is not None:
        site.host.jails.stop(f"{folder}/jail.conf", jail, site.output(step.action.ref))
    sweep(site, jail)
    restore(site, jail, previous, files)
    site.host.jails.start(f"{folder}/jail.conf", jail, site.output(step.action.ref))
    # Last: a held jail is left alone, so it must run. Killed before this, the next run tries the new root once more.
    if wanted is not None:
        site.host.datasets.set(dataset, {"reconciler:rejected": wanted.inputs})
    detail = f"{jail} runs its last good root ({good}) again; root {live} is kept, marked as rejected."
    return (
        Diagnostic(
            "rolled-back",
            "The jail was put back to its last good root",
            detail,
            f"Change the spec, or try the same again: reconcile apply --retry {jail}",
        ),
    )


def _settled(row: DatasetRow, wanted: Verdict, plan: Plan) -> bool:
    """What failed was the correction of a drift: the files are the good ones, those set aside are older."""
    writes = any(s.scope == wanted.name and s.action.ref.kind == "config" for s in plan.steps)
    return row.user.get("inputs") == wanted.inputs and not writes


def restore(site: Site, jail: str, previous: dict[str, bytes], now: object) -> None:
    """Write the good files back, the fstab last; remove what the good configuration did not have."""
    folder = f"{site.mountpoint}/jails/{jail}"
    present = {p.removeprefix(f"jails/{jail}/") for p in now} if isinstance(now, dict) else set()
    for path in sorted(previous, key=lambda p: (p == "fstab", p)):
        site.host.files.write(f"{folder}/{path}", previous[path], 0o600 if not path.endswith(".sh") else 0o700)
    for path in sorted(present - previous.keys()):
        if path.partition("/")[0] not in FOREIGN:
            site.host.files.remove(f"{folder}/{path}")


def _nothing(jail: str, good: int) -> tuple[Diagnostic, ...]:
    why = "it never had a good root" if not good else "its root did not change"
    detail = f"{jail} was left as it is, to be looked at: {why}."
    return (Diagnostic("not-rolled-back", "There is nothing to go back to", detail, f"reconcile status {jail}"),)
