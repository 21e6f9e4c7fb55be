"""SYSRC [where] name[+|-]=value…: sysrc(8) in the jail.

Always the jail's own sysrc: the host may have none, and would follow the jail's links. `--jexec`, `--jail` and
`--local` are taken, and mean the same.

    SYSRC nginx_enable=YES "hostname=${APPJAIL_JAILNAME}"
"""

from __future__ import annotations

from reconciler.makejail.options import Options, lacking, read_options
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write SYSRC NAME=VALUE."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--jexec", "--jail", "--local"}, (), _USAGE)
    argv = tuple(DoubleQuoted.host(word) for word in options.words)
    if not argv:
        raise lacking(line, _USAGE)
    return Step(
        "SYSRC",
        line.rest,
        line.span,
        {"via": _via(options), "argv": argv},
        " ".join(['jexec -l "$RECONCILER_JAIL" sysrc', *(word.sh for word in argv)]),
        names=tuple(name for word in argv for name in word.names),
        inside=True,
        lasting=True,
    )


def _via(options: Options) -> str:
    if options.has("--local"):
        return "host-root-dir"
    return "in-jail" if options.has("--jail") else "host-into-jail"


INSTRUCTION = Instruction("SYSRC", _compile)
