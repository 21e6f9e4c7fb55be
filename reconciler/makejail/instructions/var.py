"""VAR [--make-arg-env] [--noexpand] name[=value]: a variable of the host's shell, set in order.

The words of the value are joined by one space, without their quotes. Variables in it expand when the line runs, unless
`--noexpand` is given. With `--make-arg-env` later CMDs of the stage have it in their environment. Segments that come
later have it too, also when a build begins with them.

    VAR --make-arg-env url=http://${host}:${port}
"""

from __future__ import annotations

import re

from reconciler.makejail.options import read_options
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_USAGE = "Write VAR NAME=VALUE."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--make-arg-env", "--noexpand"}, (), _USAGE)
    name, _, text = " ".join(options.words).partition("=")
    if not _NAME.match(name):
        raise problem(
            DATA,
            "var-name",
            "The name of a variable is not valid",
            f"{name!r} is no name.",
            _USAGE,
            line.span,
        )
    value = DoubleQuoted.literal(text) if options.has("--noexpand") else DoubleQuoted.host(text)
    if options.has("--make-arg-env"):
        state.pass_on(name)
    script = f"{name}={value.sh if text else ''}"
    return Step("VAR", line.rest, line.span, {"name": name, "value": value}, script, (name, *value.names))


INSTRUCTION = Instruction("VAR", _compile)
