"""RESTART: a build makes files only, so nothing is restarted before the jail's own first start.

It has no effect, and says so.

    RESTART
"""

from __future__ import annotations

from reconciler.makejail.effects import ignored
from reconciler.makejail.step import Instruction, Line, State, Step


def _compile(line: Line, state: State) -> Step | None:
    instead = "Restart single services with SERVICE; the jail itself starts anew when its build is done."
    return Step("RESTART", line.rest, line.span, warnings=ignored("RESTART", line.stage, instead, line.span))


INSTRUCTION = Instruction("RESTART", _compile, build_only=True)
