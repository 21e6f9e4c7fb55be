"""WORKDIR dir: made in the jail at once; used by COPY and RUN after it. `$` is literal.

ADD and REPLACE use it too, CMD does not. Begin it with a slash: a relative one is taken from `/`.

    WORKDIR /usr/local/www
"""

from __future__ import annotations

from reconciler.makejail.quoting import single
from reconciler.makejail.step import Instruction, Line, State, Step, required


def _compile(line: Line, state: State) -> Step | None:
    state.workdir = required(line, "Write WORKDIR DIRECTORY.")
    script = f'jexec -l "$RECONCILER_JAIL" mkdir -p -- {single(state.workdir)}'
    return Step("WORKDIR", line.rest, line.span, {"mkdir": state.workdir}, script, inside=True, lasting=True)


INSTRUCTION = Instruction("WORKDIR", _compile)
