"""SET [--mark] [--column C] [--row R] param[=value]: a jail(8) parameter; quotes of the value stay.

It becomes part of `parameters:` of the jail's document (or of `hostname:` and `depends_on:`), as far as the tool does
not keep the parameter for itself. The value ends at a second `=`. `--column` edits one word of a template and has no
effect here; `--mark` without a value neither.

In another stage `jail -m` sets it in the running jail, until that stops: `allow.*`, `children.max`, `enforce_statfs`
and `securelevel`. Any other parameter takes effect at a start alone, and a start is made of the document: it is
skipped, with a warning, as is everything in a create stage, where no jail is yet. A parameter that the document says
otherwise is put back by the next apply.

    SET allow.raw_sockets
    SET children.max=5
"""

from __future__ import annotations

import re

from reconciler.makejail.effects import Parameter, ignored, until_stop
from reconciler.makejail.lines import blank
from reconciler.makejail.options import lacking, read_options
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD, CREATION
from reconciler.makejail.step import Instruction, Line, State, Step, required
from reconciler.makejail.tokens import words

_MODIFIABLE = re.compile(r"(allow(\.[a-z0-9_]+)+|children\.max|enforce_statfs|securelevel)\Z")
_USAGE = "Write SET PARAMETER or SET PARAMETER=VALUE."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--mark"}, {"--column", "--row"}, _USAGE)
    if not options.written or any(map(blank, options.written)):
        raise lacking(line, _USAGE)
    text = " ".join(options.written)
    word = DoubleQuoted.host(text)
    row = DoubleQuoted.host(options.value("--row") or "0")
    given = options.value("--column")
    column = None if given is None else DoubleQuoted.host(given)
    ops = [{"op": "set" if column is None else "setColumn", "row": row, "column": column, "param": word}]
    if options.has("--mark"):
        ops.insert(0, {"op": "set-mark", "row": row, "column": None, "param": word})
    name, _, value = text.partition("=")
    operands = {"ops": tuple(ops)}
    if line.stage == BUILD:
        effect = Parameter(word, row, column, options.has("--mark"), line.span)
        return Step("SET", line.rest, line.span, operands, names=word.names, effect=effect)
    instead = f"In the spec: parameters: {{{name}: {value or 'true'}}}"
    why = _without_moment(line, text, column, marked=options.has("--mark"))
    if why:
        warnings = ignored("SET", why, instead, line.span)
        return Step("SET", line.rest, line.span, operands, names=word.names, warnings=warnings)
    script = f'jail -m name="$RECONCILER_JAIL" {_given(text, line).sh}'
    warnings = until_stop("SET", line.stage, instead, line.span)
    return Step("SET", line.rest, line.span, operands, script, word.names, inside=True, warnings=warnings)


def _without_moment(line: Line, text: str, column: DoubleQuoted | None, *, marked: bool) -> str:
    name, equals, _ = text.partition("=")
    if column is not None:
        return "--column edits one word of a template, and there is none."
    if not equals and marked:
        return "--mark asks for a value before a start, and the document decides what a start has."
    if line.stage in CREATION:
        return f"there is no jail yet in stage {line.stage}."
    return "" if _MODIFIABLE.match(name) else f"{name} takes effect at a start, which the document decides."


def _given(text: str, line: Line) -> DoubleQuoted:
    """The parameter as jail(8) takes it: without quotes, words joined by commas, cut at a second equals sign."""
    name, equals, value = text.partition("=")
    return DoubleQuoted.host(name + equals + ",".join(words(value.partition("=")[0], line.span)))


INSTRUCTION = Instruction("SET", _compile)
