"""What lies in the pool for one jail: what `destroy` would take, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.kind import Seen
from reconciler.model.diagnostic import Diagnostic, Refused
from reconciler.model.ports import DatasetRow

SEALED = "sealed"
_HELD_BY_US = "reconciler"


@dataclass(frozen=True, slots=True)
class Belongings:
    """Datasets (children before parents), our snapshots of them, those of others, and what was cloned from any.

    `recordings` are snapshots that `package record` holds.
    """

    datasets: tuple[DatasetRow, ...]
    snapshots: tuple[DatasetRow, ...]
    foreign: tuple[str, ...]
    clones: tuple[tuple[str, str], ...]
    recordings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that would be free."""
        return sum(row.used for row in self.datasets if not self._inside(row))

    def _inside(self, row: DatasetRow) -> bool:
        return any(row.name.startswith(f"{other.name}/") for other in self.datasets)


def jail_paths(seen: Seen, jail: str) -> Iterator[str]:
    """The paths of every dataset of a jail: its roots, what it keeps, its volumes here and on other pools."""
    for path in seen.rows:
        top, _, local = path.partition("/volumes/" if path.startswith("//") else "/")
        own = path.startswith("//") or top in ("jails", "state", "volumes")
        if jail and own and "@" not in path and local.partition("/")[0] == jail:
            yield path


def volume_paths(seen: Seen, name: str) -> Iterator[str]:
    """The dataset of one volume, by JAIL/VOLUME."""
    for path in seen.rows:
        if path == f"volumes/{name}" or (path.startswith("//") and path.endswith(f"/volumes/{name}")):
            yield path


def belongings(seen: Seen, paths: Iterable[str]) -> Belongings:
    """Everything at these paths, and at what lies below them, whoever made it."""
    rows = sorted((seen.rows[path] for path in paths), key=lambda row: (-row.name.count("/"), row.name))
    names = {row.name for row in rows}
    below = [r for r in seen.observed.datasets if r.kind != "snapshot" and _below(r.name, names)]
    snapshots = [r for r in seen.observed.datasets if r.kind == "snapshot" and _at(r.name, names)]
    ours = [row for row in snapshots if _ours(row)]
    recordings = tuple(row.name for row in snapshots if row.user.get("recording"))
    return Belongings(
        tuple(rows),
        tuple(ours),
        tuple(r.name for r in (*below, *snapshots) if r not in ours and r.name not in recordings),
        tuple(
            (row.name, row.origin)
            for row in seen.observed.datasets
            if row.origin and _at(row.origin, names) and row.name not in names
        ),
        recordings,
    )


def refuse_strangers(found: Belongings) -> None:
    """Raises Refused (`foreign-snapshots`, `has-clones`) naming what others made, and (`recording-not-ended`)."""
    problems = []
    if found.recordings:
        jail = found.recordings[0].partition("/jails/")[2].partition("/")[0]
        detail = f"{', '.join(found.recordings)}: somebody records {jail}, or has built no package of it yet. "
        detail += "Nothing was changed."
        hint = f"Build the package, or forget the recording: reconcile package record discard {jail}"
        problems.append(Diagnostic("recording-not-ended", "A recording of the jail was not ended", detail, hint))
    if found.foreign:
        problems.append(
            Diagnostic(
                "foreign-snapshots",
                "Somebody else's snapshots or datasets stand in the way",
                "\n".join([*found.foreign, "This tool did not make them and leaves them alone. Nothing was changed."]),
                f"Look at them, and then by hand: zfs destroy {found.foreign[0]}",
            )
        )
    if found.clones:
        listed = "\n".join(f"{name} is a clone of {origin}" for name, origin in found.clones)
        problems.append(
            Diagnostic(
                "has-clones",
                "A dataset or snapshot still has clones",
                f"{listed}\nNothing was changed.",
                f"Promote it, so that it stands alone: zfs promote {found.clones[0][0]}",
            )
        )
    if problems:
        raise Refused(problems)


def _below(name: str, names: set[str]) -> bool:
    return name not in names and any(name.startswith(f"{above}/") for above in names)


def _at(snapshot: str, names: set[str]) -> bool:
    return snapshot.partition("@")[0] in names


def _ours(row: DatasetRow) -> bool:
    """Made by us: a sealed root, or a snapshot that carries our mark."""
    snapshot = row.name.partition("@")[2]
    marked = row.user.get("made_by") or (row.user.get("replaced") and snapshot.startswith("before-"))
    return snapshot == SEALED or bool(marked) or snapshot == row.user.get("digest")
