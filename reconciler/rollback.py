"""Put a jail back to its last good root after a start or a check failed.

The files of the last good configuration lie in the jail's folder below `previous/`, written before they
were replaced. A root that failed is marked as rejected with the inputs it was made from, so that the
next run holds instead of trying again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.kind import Place, Seen
from reconciler.kinds.config import FOREIGN, generation
from reconciler.kinds.jail import sweep
from reconciler.kinds.verdict import Verdict
from reconciler.model.action import Plan, Site, Step
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ports import DatasetRow, JailRow
from reconciler.model.value import Ref

PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class _Found:
    """A jail as it stands: its dataset, last good generation, live one, and the files set aside."""

    row: DatasetRow | None
    good: int
    live: int
    files: Mapping[str, bytes]
    previous: dict[str, bytes]
    running: JailRow | None


def _look(site: Site, jail: str, place: Place) -> _Found:
    roots, below = (f"{site.pool}/jails/{jail}",), (f"jails/{jail}",)
    seen = Seen.of(place, site.observe("datasets", "files", "jails", roots=roots, below=below))
    row, files = seen.rows.get(f"jails/{jail}"), seen.observed.files
    good = int(row.user["good"]) if row and row.user.get("good", "").isdigit() else 0
    aside = f"jails/{jail}/{PREVIOUS}/"
    return _Found(
        row,
        good,
        generation(files.get(f"jails/{jail}/fstab"), place, jail),
        files,
        {path.removeprefix(aside): data for path, data in files.items() if path.startswith(aside)},
        next((r for r in seen.observed.jails if r.name == jail), None),
    )


def recover(site: Site, step: Step, plan: Plan, place: Place) -> tuple[Diagnostic, ...]:
    """Point back when the live root is not the good one; says what was done, or why nothing could be.

    Raises HostError when the way back fails too.
    """
    jail = step.scope
    if not jail:
        return ()
    found = _look(site, jail, place)
    wanted = next((r for r in plan.wanted.values() if isinstance(r, Verdict) and r.name == jail), None)
    if not found.good or generation(found.previous.get("fstab"), place, jail) != found.good:
        return _nothing(jail, found.good)
    if found.row and wanted is not None and _settled(found.row, wanted, plan):
        return _nothing(jail, found.good)
    if found.running is not None and found.running.path != place.folder(f"live/{jail}"):
        # Somebody else's jail of that name: it is not stopped, and while it runs ours cannot start.
        return _nothing(jail, found.good)
    conf, output = f"{site.mountpoint}/jails/{jail}/jail.conf", site.output(step.action.ref)
    if found.running is not None:
        site.host.jails.stop(conf, jail, output)
    sweep(site, jail)
    restore(site, jail, found.previous, found.files)
    runs = any(Ref("jail", jail) in world for world in (plan.wanted, plan.observed))
    if runs:  # one that a spec or an operator wants stopped stays so
        site.host.jails.start(conf, jail, output)
    # Last: a held jail is left alone, so it must run. Killed before this, the next run tries the new root once more.
    if wanted is not None:
        site.host.datasets.set(f"{site.pool}/jails/{jail}", {"reconciler:rejected": wanted.inputs})
    again = f"runs its last good root ({found.good}) again" if runs else f"has its last good root ({found.good}) again"
    detail = f"{jail} {again}; root {found.live} is kept, marked as rejected."
    hint = f"Change the spec, or try the same again: reconcile apply --retry {jail}"
    return (Diagnostic("rolled-back", "The jail was put back to its last good root", detail, hint),)


def _settled(row: DatasetRow, wanted: Verdict, plan: Plan) -> bool:
    """What failed was the correction of a drift: the files are the good ones, those set aside are older."""
    writes = any(s.scope == wanted.name and s.action.ref.kind == "config" for s in plan.steps)
    return row.user.get("inputs") == wanted.inputs and not writes


def restore(site: Site, jail: str, previous: dict[str, bytes], now: Mapping[str, bytes]) -> None:
    """Write the good files back, the fstab last; remove what the good configuration did not have."""
    folder = f"{site.mountpoint}/jails/{jail}"
    present = {path.removeprefix(f"jails/{jail}/") for path in now}
    paths = sorted(previous, key=lambda p: (p == "fstab", p))
    site.host.files.write_all(folder, [(p, previous[p], 0o700 if p.endswith(".sh") else 0o600) for p in paths])
    for path in sorted(present - previous.keys()):
        if path.partition("/")[0] not in FOREIGN:
            site.host.files.remove(f"{folder}/{path}")


def _nothing(jail: str, good: int) -> tuple[Diagnostic, ...]:
    why = "it never had a good root" if not good else "its root did not change"
    detail = f"{jail} was left as it is, to be looked at: {why}."
    return (Diagnostic("not-rolled-back", "There is nothing to go back to", detail, f"reconcile status {jail}"),)
