"""The mark on a jail that makes every run leave it alone."""

from __future__ import annotations

from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.reconcile import Session

PROPERTY = "reconciler:suspended"
_LONGEST = 1000


def dataset(run: Session, name: str) -> str:
    """The jail's own dataset. Raises SpecError (`unknown-jail`) where the pool has none."""
    row = run.seen.rows.get(f"jails/{name}")
    if row is None:
        detail = f"{run.document.pool} has no jail {name}."
        raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, "reconcile status"))
    return row.name


def reason(text: str) -> str:
    """A reason that fits in a property. Raises SpecError (`reason-invalid`)."""
    plain = " ".join(text.split())
    if not plain or not plain.isprintable() or len(plain.encode()) > _LONGEST or plain == "-":
        detail = f"A reason is one line of 1 to {_LONGEST} bytes of text."
        hint = "--reason 'TICKET, who, why'"
        raise SpecError(Diagnostic("reason-invalid", "The reason cannot be kept", detail, hint))
    return plain
