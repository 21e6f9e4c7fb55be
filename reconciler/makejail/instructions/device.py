r"""DEVICE rule…: one rule of devfs(8).

It becomes part of `devfs:` of the jail's document: planned, corrected when it drifts, and undone when the line goes.
The variables that it names must be known before the build. A backslash is not escaped, so `\$devfsrules_x` keeps its
`$`. Only in the build stage; elsewhere it has no effect, and that is said.

    DEVICE path 'bpf*' unhide
"""

from __future__ import annotations

import re

from reconciler.makejail.effects import Device, ignored
from reconciler.makejail.options import lacking
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required
from reconciler.makejail.tokens import words

_USAGE = "Write DEVICE RULE, such as DEVICE path 'bpf*' unhide."


def _compile(line: Line, state: State) -> Step | None:
    applied = tuple(map(_word, words(required(line, _USAGE), line.span)))
    if not applied:
        raise lacking(line, _USAGE)
    rule = _word(line.rest)
    operands = {"apply": applied, "persist": (rule,)}
    plain = " ".join(words(line.rest))
    warnings = ignored("DEVICE", line.stage, f'In the spec: devfs: ["{plain}"]', line.span)
    effect = Device(rule, line.span)
    return Step("DEVICE", line.rest, line.span, operands, names=rule.names, effect=effect, warnings=warnings)


def _word(text: str) -> DoubleQuoted:
    return DoubleQuoted(re.sub(r'[`"]|\$(?=\()', r"\\\g<0>", text))


INSTRUCTION = Instruction("DEVICE", _compile)
