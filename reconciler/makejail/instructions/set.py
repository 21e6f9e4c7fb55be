"""SET [--mark] [--column C] [--row R] param[=value]: a jail(8) parameter; quotes of the value stay.

It becomes part of `parameters:` of the jail's document (or of `hostname:` and `depends_on:`), as far as the tool does
not keep the parameter for itself. The value ends at a second `=`. `--column` edits one word of a template and has no
effect here; `--mark` without a value neither. Only in the build stage.

    SET allow.raw_sockets
    SET children.max=5
"""

from __future__ import annotations

from reconciler.makejail.effects import Parameter, ignored
from reconciler.makejail.lines import blank
from reconciler.makejail.options import lacking, read_options
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

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
    instead = f"In the spec: parameters: {{{name}: {value or 'true'}}}"
    return Step(
        "SET",
        line.rest,
        line.span,
        {"ops": tuple(ops)},
        names=word.names,
        effect=Parameter(word, row, column, options.has("--mark"), line.span),
        warnings=ignored("SET", line.stage, instead, line.span),
    )


INSTRUCTION = Instruction("SET", _compile)
