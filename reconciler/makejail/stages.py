"""STAGE name: the lines from here on belong to this stage. The stages, in the order of their scripts.

- `build` (where a Makejail begins) makes the root: its lines become layers.
- `create`, `start`, `stop`, each with a `pre` and a `post`: kept with the jail and run when it starts and stops, also
  by rc.d without the tool. A failing start stops the jail again; a failing stop keeps it running.
- `cmd` and `custom:NAME`: run with `reconcile run JAIL` and `reconcile run JAIL --stage custom:NAME`.
- `apply`: for a jail that is there, run with `reconcile run JAIL --stage apply`; nothing runs it by itself.

Other stages than build go on after a failing line, and the last one's status counts: begin them with `RAW set -e`.
A stage that is begun again goes on where it was.

    STAGE custom:backup
    CMD tar -cf - /var/db/app
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from reconciler.makejail.lines import blank
from reconciler.makejail.problem import DATA, MISSING, USAGE, problem
from reconciler.model.diagnostic import Span

BUILD = "build"
APPLY = "apply"
CREATION = ("precreate", "create", "postcreate")
FIXED = (
    BUILD,
    APPLY,
    *CREATION,
    *("prestart", "start", "poststart"),
    *("precmd", "cmd", "postcmd"),
    *("prestop", "stop", "poststop"),
)
CUSTOM = "custom:"
_CUSTOM = re.compile(r"custom:[A-Za-z0-9_][A-Za-z0-9_-]*\Z")


def by_hand(stage: str) -> bool:
    """Whether a person runs the stage, with `reconcile run`, and may sit at a terminal."""
    return stage in (APPLY, "precmd", "cmd", "postcmd") or stage.startswith(CUSTOM)


def check_stage(name: str, span: Span | None) -> str:
    """Return `name` when it is a stage. Raises MakejailError 64, 65 or 66."""
    if blank(name):
        raise problem(USAGE, "stage-empty", "STAGE needs a name", hint="Write, for example, STAGE start.", span=span)
    if name in FIXED or _CUSTOM.match(name):
        return name
    if name.startswith("custom:"):
        raise problem(
            DATA,
            "stage-name",
            "The name of a custom stage is not valid",
            f"{name!r} is not custom: followed by letters, digits, _ and -.",
            span=span,
        )
    near = get_close_matches(name.strip(), FIXED, n=1)
    hint = f"Did you mean STAGE {near[0]}?" if near else f"Stages are {', '.join(FIXED)} and custom:NAME."
    raise problem(MISSING, "unknown-stage", "There is no such stage", f"{name!r} is not a stage.", hint, span)
