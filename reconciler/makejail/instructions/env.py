r"""ENV name=value: environment of the stage's RUNs.

A value is required. `$x` expands in the jail's shell and `\$` is literal; but when a value holds `\$` or `$(`
anywhere, its other variables expand on the host. What a spec gives in `makejail: {env: {NAME: VALUE}}` stands after
the first ENV, so a later ENV of that name wins over it. CMD never sees these variables.

    ENV LANG=en_US.UTF-8
"""

from __future__ import annotations

import re

from reconciler.makejail.lines import blank
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.step import EnvWord, Instruction, Line, State, Step, required

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_USAGE = "Write ENV NAME=VALUE."


def _compile(line: Line, state: State) -> Step | None:
    name, _, value = required(line, _USAGE).partition("=")
    if not _NAME.match(name):
        raise problem(
            DATA,
            "env-name",
            "The name of a variable is not valid",
            f"{name!r} is no name.",
            _USAGE,
            line.span,
        )
    if blank(value):
        raise problem(DATA, "env-value", "A variable needs a value", f"{name} has none.", _USAGE, line.span)
    try:
        state.environment.append(EnvWord.expanding(name, value))
    except ValueError as error:
        summary, detail = "A variable's value is not valid", f"${{ is never closed in {value!r}."
        raise problem(DATA, "env-value", summary, detail, _USAGE, line.span) from error
    return None


INSTRUCTION = Instruction("ENV", _compile)
