"""START: after a STOP, the build jail's rc(8) runs, and with it the services that SYSRC has enabled.

Anywhere else nothing is left to do, for the jail runs while it is built. Only in the build stage.

    STOP
    START
    SERVICE nginx status
"""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step


def _compile(line: Line, state: State) -> Step | None:
    before = [step.name for step in state.steps if step.name in ("START", "STOP", "RESTART")]
    if before[-1:] != ["STOP"]:
        return Step("START", line.rest, line.span)
    return Step("START", line.rest, line.span, script="reconciler_start", inside=True, lasting=True)


INSTRUCTION = Instruction("START", _compile, build_only=True)
