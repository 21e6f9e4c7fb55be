"""START: the jail runs while it is built, so nothing is left to do."""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step


def _compile(line: Line, state: State) -> Step | None:
    return Step("START", line.rest, line.span)


INSTRUCTION = Instruction("START", _compile, build_only=True)
