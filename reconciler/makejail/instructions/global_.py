"""GLOBAL :name: [instruction…]: a line of a Makejail that EXEC builds another jail from.

The name stands between colons. All lines of one name make one text, whatever file and stage they stand in; its
relative paths are those of the first Makejail's folder. Nothing in it is checked unless an EXEC builds it.

    GLOBAL :db: PKG postgresql16-server
"""

from __future__ import annotations

import re

from reconciler.makejail.lines import head
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.step import Instruction, Line, State, Step, required

_NAME = re.compile(r":[A-Za-z0-9_][A-Za-z0-9_-]*:\Z")
_USAGE = "Write GLOBAL :NAME: INSTRUCTION."


def _compile(line: Line, state: State) -> Step | None:
    name, text = head(required(line, _USAGE), " ")
    if not _NAME.match(name):
        detail = f"{name!r} is no name between colons."
        raise problem(DATA, "global-name", "The name of a GLOBAL is not valid", detail, _USAGE, line.span)
    state.globals.setdefault(name, []).append(text)
    return None


INSTRUCTION = Instruction("GLOBAL", _compile)
