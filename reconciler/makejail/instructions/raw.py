"""RAW [code]: one line of sh on the host, as root, in the Makejail's folder."""

from __future__ import annotations

import re

from reconciler.makejail.step import Instruction, Line, State, Step

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _compile(line: Line, state: State) -> Step | None:
    return Step(
        "RAW",
        line.rest,
        line.span,
        {"code": line.rest},
        line.rest,
        # A variable may be read without a $, by arithmetic, eval or assignment: every word counts.
        names=tuple(dict.fromkeys(_WORD.findall(line.rest))),
        raw=True,
        host_code=True,
        needs_context=True,
        lasting=True,
    )


INSTRUCTION = Instruction("RAW", _compile)
