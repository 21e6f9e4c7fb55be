"""SERVICE [--jail] args…: service(8) in the jail.

In a build it acts on the build jail, which is gone when the layer is done: a service that still runs then makes the
layer live, and a later build runs it again. To have a service start with the jail use SYSRC.

    SERVICE nginx configtest
"""

from __future__ import annotations

from reconciler.makejail.options import lacking, read_options
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write SERVICE NAME ACTION."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--jail"}, (), _USAGE)
    argv = tuple(DoubleQuoted.host(word) for word in options.words)
    if not argv:
        raise lacking(line, _USAGE)
    return Step(
        "SERVICE",
        line.rest,
        line.span,
        {"via": "in-jail" if options.has("--jail") else "host-into-jail", "argv": argv},
        " ".join(['jexec -l "$RECONCILER_JAIL" service', *(word.sh for word in argv)]),
        names=tuple(name for word in argv for name in word.names),
        inside=True,
        lasting=True,
    )


INSTRUCTION = Instruction("SERVICE", _compile)
