"""STOP: the build jail is stopped after the last segment, so nothing is left to do."""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step


def _compile(line: Line, state: State) -> Step | None:
    return Step("STOP", line.rest, line.span)


INSTRUCTION = Instruction("STOP", _compile, build_only=True)
