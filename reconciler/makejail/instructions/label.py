"""LABEL key[=value]: a label of the jail. The text after = is not split; quotes stay.

It becomes part of `labels:` of the jail's document. Keys have small letters and digits, with single dots or dashes.
Another stage than build cannot set one: labels choose jails before anything of them runs. There it is skipped, with a
warning.

    LABEL team.name=web
"""

from __future__ import annotations

import re

from reconciler.makejail.effects import ignored
from reconciler.makejail.lines import head
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, State, Step, required

_KEY = re.compile(r"[a-z][a-z0-9]*([.-][a-z][a-z0-9]*)*\Z")


def _compile(line: Line, state: State) -> Step | None:
    key, text = head(required(line, "Write LABEL KEY=VALUE."), "=")
    if not _KEY.match(key):
        hint = "Use small letters and digits, with single dots or dashes between them."
        raise problem(DATA, "label-key", "The key of a label is not valid", f"{key!r} is no key.", hint, line.span)
    value = DoubleQuoted.host(text)
    if line.stage == BUILD:
        state.labels.append((key, value, line.span))
        return Step("LABEL", line.rest, line.span, {"key": key, "value": value}, names=value.names)
    why = f"labels are read before stage {line.stage} runs."
    warnings = ignored("LABEL", why, f"In the spec: labels: {{{key}: {text or key}}}", line.span)
    return Step("LABEL", line.rest, line.span, {"key": key, "value": value}, names=value.names, warnings=warnings)


INSTRUCTION = Instruction("LABEL", _compile)
