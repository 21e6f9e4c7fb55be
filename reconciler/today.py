"""Which day it is, for whatever judges ends of life: asked here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime

VARIABLE = "RECONCILER_TODAY"


def today(environ: Mapping[str, str] = os.environ) -> date:
    """The day by UTC, or the one that RECONCILER_TODAY names (2027-04-01): what is past its end of life by then?

    Raises ValueError when it is no date.
    """
    given = environ.get(VARIABLE, "")
    return date.fromisoformat(given) if given else datetime.now(UTC).date()
