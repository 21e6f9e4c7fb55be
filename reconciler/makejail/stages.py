"""The stages of a Makejail, in the order in which their scripts are written."""

from __future__ import annotations

import re
from difflib import get_close_matches

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
_CUSTOM = re.compile(r"custom:[A-Za-z0-9_][A-Za-z0-9_-]*\Z")


def check_stage(name: str, span: Span | None) -> str:
    """Return `name` when it is a stage. Raises MakejailError 64, 65 or 66."""
    if not name.strip():
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
