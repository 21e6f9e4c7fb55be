"""REPLACE file key [value [output]]: `%{key}` in a file of the jail becomes the value.

Done inside the jail, so that its links resolve there. `&` in the value means the matched text, the
second of two adjacent keys is not seen, and `%%{key}` becomes `%{key}` in `file`, whatever `output` is.
A `$x` of WORKDIR expands here, and nowhere else. Both files are below WORKDIR. It fails (66) where the file is not
there, and (65) where it does not hold the key.

    REPLACE /usr/local/etc/app.conf port ${port}
"""

from __future__ import annotations

from reconciler.makejail.lines import blank
from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required
from reconciler.makejail.tokens import words

_USAGE = "Write REPLACE FILE KEY VALUE."


def _compile(line: Line, state: State) -> Step | None:
    given = words(required(line, _USAGE), line.span)
    if len(given) < 2 or any(map(blank, given[:2])):
        raise problem(USAGE, "usage", "REPLACE needs a file and a key", hint=_USAGE, span=line.span)
    file, key, value, output = (*map(DoubleQuoted.host, given[:4]), *[DoubleQuoted("")] * 2)[:4]
    folder = DoubleQuoted.host(state.workdir) + DoubleQuoted("/")
    source = folder + file
    target = source if blank("".join(given[3:4])) else folder + output
    root = DoubleQuoted("${APPJAIL_JAILDIR}")
    arguments = (source, key, value, target)
    return Step(
        "REPLACE",
        line.rest,
        line.span,
        {"file": root + source, "key": key, "value": value, "output": root + target},
        "reconciler_replace " + " ".join(word.sh for word in arguments),
        names=tuple(dict.fromkeys(name for word in arguments for name in word.names)),
        inside=True,
        lasting=True,
    )


INSTRUCTION = Instruction("REPLACE", _compile)
