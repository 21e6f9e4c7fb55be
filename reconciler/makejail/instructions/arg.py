"""ARG name[?][=default]: a value that the user may give; `?` lets it be empty.

In a spec the values stand in `makejail: {args: {NAME: VALUE}}`; stages that run later take theirs from
`reconcile run NAME -- --NAME VALUE`. ARGs are collected at the top of their stage, also out of a RAW block, and each
stage has its own. A default may use variables of the host and the defaults of ARGs before it, never their given
values. A segment is built anew when an ARG that it reads changes.

    ARG port=8080
    ARG password?
"""

from __future__ import annotations

import re

from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Argument, Instruction, Line, State, Step, required

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_USAGE = "Write ARG NAME, ARG NAME=DEFAULT or ARG NAME?=DEFAULT."


def _compile(line: Line, state: State) -> Step | None:
    name, _, default = required(line, _USAGE).partition("=")
    optional = name.endswith("?")
    name = name.removesuffix("?")
    if not _NAME.match(name):
        raise problem(
            DATA,
            "argument-name",
            "The name of an argument is not valid",
            f"{name!r} is no name.",
            _USAGE,
            line.span,
        )
    state.arguments.append(Argument(name, DoubleQuoted.host(default), optional, line.span))
    state.pass_on(name)
    return None


INSTRUCTION = Instruction("ARG", _compile)
