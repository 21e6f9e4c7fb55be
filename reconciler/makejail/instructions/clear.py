"""CLEAR entrypoint|user|workdir|stage: forget what the stage has so far.

`stage` drops the code, ARG and OPTION included, but not the state: a dropped ARG's name is
still passed to CMD. The others take back an ENTRYPOINT, a USER or a WORKDIR.

    CLEAR workdir
"""

from __future__ import annotations

from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.step import Instruction, Line, State, Step, required
from reconciler.makejail.tokens import words

_USAGE = "Write CLEAR entrypoint, CLEAR user, CLEAR workdir or CLEAR stage."


def _compile(line: Line, state: State) -> Step | None:
    given = words(required(line, _USAGE), line.span)
    match given[0] if given else "":
        case "entrypoint":
            state.entrypoint = ""
        case "user":
            state.user = "root"
        case "workdir":
            state.workdir = ""
        case "stage":
            for kept in (state.steps, state.arguments, state.options, state.labels, state.imports):
                kept.clear()
        case other:
            raise problem(USAGE, "usage", "There is nothing of this name to clear", repr(other), _USAGE, line.span)
    return None


INSTRUCTION = Instruction("CLEAR", _compile)
