r"""ENV name=value: environment of the stage's RUNs.

A value is required. `$x` expands in the jail's shell and `\$` is literal; but when a value holds `\$` anywhere,
its other variables expand on the host. What a spec gives in `makejail: {env: {NAME: VALUE}}` stands after the first
ENV, so a later ENV of that name wins over it. CMD never sees these variables.

    ENV LANG=en_US.UTF-8
"""

from __future__ import annotations

import re

from reconciler.makejail.lines import blank
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.quoting import DoubleQuoted, Expansion, single
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
    # Between double quotes a backslash before $ makes it literal; everything else is as in COPY.
    word = DoubleQuoted(f"{name}=" + re.sub(r'\\(?!\$)|[`"]|(?<!\\)\$(?=\()', r"\\\g<0>", value))
    if not word.parses:
        raise problem(
            DATA,
            "env-value",
            "A variable's value is not valid",
            f"${{ is never closed in {value!r}.",
            _USAGE,
            line.span,
        )
    state.environment.append(_host_word(word) if "\\$" in value else _jail_word(word))
    return None


def _jail_word(word: DoubleQuoted) -> EnvWord:
    shown = "".join(f"‹{p.body}›" if isinstance(p, Expansion) else p for p in word.parts())
    return EnvWord(shown, single(word.sh))


def _host_word(word: DoubleQuoted) -> EnvWord:
    return EnvWord(word.notation, f'"$(reconciler_quote {word.sh})"', word.names)


INSTRUCTION = Instruction("ENV", _compile)
