r"""OPTION name[=value]: a property of the jail itself. Out of the flow: only ARGs reach it.

The whole text is one word, spaces included. A backslash is not escaped, so `\$x` is literal.
"""

from __future__ import annotations

import re

from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required


def _compile(line: Line, state: State) -> Step | None:
    text = required(line, "Write OPTION NAME or OPTION NAME=VALUE.")
    word = DoubleQuoted(re.sub(r'[`"]|\$(?=\()', r"\\\g<0>", text))
    state.options.append((word, line.span))
    return None


INSTRUCTION = Instruction("OPTION", _compile, build_only=True)
