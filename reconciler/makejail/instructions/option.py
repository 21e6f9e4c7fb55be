r"""OPTION name[=value]: a property of the jail itself. Out of the flow: only ARGs reach it.

The whole text is one word, spaces included. A backslash is not escaped, so `\$x` is literal. What an option says
becomes part of the jail's document, as far as a field of it holds that: see [what becomes of each
option](options.md). The spec's own fields win. `reconcile render` shows what counts, and where
each value comes from.

    OPTION virtualnet=:<random> default
    OPTION expose=8080:80 proto:tcp
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
