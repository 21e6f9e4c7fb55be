"""Where the layers are: a layer is a snapshot named by its digest, whichever build's dataset holds it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import DatasetRow


def newest(rows: Iterable[DatasetRow], digest: str) -> DatasetRow | None:
    """The snapshot of a layer; the one built last, where it was built anew."""
    own = (row for row in rows if row.name.endswith(f"@{digest}") and row.user.get("digest") == digest)
    return max(own, key=lambda row: built(row.name), default=None)


def built(snapshot: str) -> int:
    """How often a snapshot's build was begun anew: its dataset says so."""
    number = snapshot.partition("@")[0].rpartition("/")[2].partition(".")[2]
    return int(number) if number.isdigit() else 0


def located(site: Site, rows: Iterable[DatasetRow], digest: str) -> DatasetRow:
    """The snapshot of a layer that a plan counts on. Raises HostError (code `layer-missing`) when it has gone."""
    row = newest(rows, digest)
    if row is None:
        raise HostError(
            Diagnostic(
                "layer-missing",
                "A layer has gone since the plan was made",
                f"Layer {digest[:12]} is not in {site.pool}/layers.",
                "Run the command again: it will be built anew.",
            )
        )
    return row
