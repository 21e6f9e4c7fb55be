"""ENTRYPOINT text: words put before the words of every later RUN of the stage.

The last one counts. A RUN needs a word of its own all the same.

    ENTRYPOINT python3.11
"""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step, required


def _compile(line: Line, state: State) -> Step | None:
    # Not split yet: quotes that never close matter only when a RUN uses them.
    state.entrypoint = required(line, "Write ENTRYPOINT COMMAND.")
    return None


INSTRUCTION = Instruction("ENTRYPOINT", _compile)
