"""Which day it is, for whatever judges ends of life: asked here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime

from reconciler.model.diagnostic import Diagnostic, SpecError

VARIABLE = "RECONCILER_TODAY"


def today(environ: Mapping[str, str] = os.environ) -> date:
    """The day by UTC, or the one that RECONCILER_TODAY names (2027-04-01): what is past its end of life by then?

    Raises SpecError (`day-malformed`) when that is none.
    """
    given = environ.get(VARIABLE, "")
    if not given:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        detail = f"{VARIABLE} is {given[:40]!a}."
        found = Diagnostic("day-malformed", "Not a day", detail, f"Write it like {VARIABLE}=2027-04-01, or unset it.")
        raise SpecError(found) from error
