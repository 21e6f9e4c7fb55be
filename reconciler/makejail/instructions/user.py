"""USER name: the user of the stage's later RUNs; `$` is literal.

The last one counts; root without any.

    USER www
"""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step, required


def _compile(line: Line, state: State) -> Step | None:
    state.user = required(line, "Write USER NAME.")
    return None


INSTRUCTION = Instruction("USER", _compile)
