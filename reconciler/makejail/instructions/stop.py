"""STOP: what runs in the build jail is shut down, by its own rc.shutdown and then by signals.

So a database that a SERVICE has started closes its files before the layer is kept, and the layer is not live: a later
build does not run it again. The build jail itself stays for the instructions that follow, which AppJail would skip.
Where nothing runs, nothing happens. Only in the build stage.

    SERVICE postgresql start
    CMD createdb -U postgres app
    STOP
"""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step


def _compile(line: Line, state: State) -> Step | None:
    return Step("STOP", line.rest, line.span, script="reconciler_stop", inside=True)


INSTRUCTION = Instruction("STOP", _compile, build_only=True)
