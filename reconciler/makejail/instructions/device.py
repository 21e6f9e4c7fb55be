r"""DEVICE rule…: one rule of devfs(8).

It becomes part of `devfs:` of the jail's document: planned, corrected when it drifts, and undone when the line goes.
The variables that it names must be known before the build. A backslash is not escaped, so `\$devfsrules_x` keeps its
`$`.

In another stage the rule is applied to the jail's /dev at that moment, and holds until the jail stops: the ruleset
stays as the document has it. It reaches for the host's devices, so `policy.host_code` may refuse it in any stage.

    DEVICE path 'bpf*' unhide
"""

from __future__ import annotations

import re

from reconciler.makejail.effects import Device, until_stop
from reconciler.makejail.options import lacking
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, State, Step, required
from reconciler.makejail.tokens import words

_USAGE = "Write DEVICE RULE, such as DEVICE path 'bpf*' unhide."


def _compile(line: Line, state: State) -> Step | None:
    applied = tuple(map(_word, words(required(line, _USAGE), line.span)))
    if not applied:
        raise lacking(line, _USAGE)
    rule = _word(line.rest)
    operands = {"apply": applied, "persist": (rule,)}
    if line.stage == BUILD:
        return Step("DEVICE", line.rest, line.span, operands, names=rule.names, effect=Device(rule, line.span))
    script = f'devfs -m "$APPJAIL_JAILDIR/dev" rule apply {" ".join(word.sh for word in applied)} </dev/null'
    plain = " ".join(words(line.rest))
    warnings = until_stop("DEVICE", line.stage, f'In the spec: devfs: ["{plain}"]', line.span)
    return Step("DEVICE", line.rest, line.span, operands, script, rule.names, host_code=True, warnings=warnings)


def _word(text: str) -> DoubleQuoted:
    return DoubleQuoted(re.sub(r'[`"]|\$(?=\()', r"\\\g<0>", text))


INSTRUCTION = Instruction("DEVICE", _compile)
