"""DESTROY [--force] [--with-all-dependents] jail: removes another jail.

A jail that an EXEC of the same Makejail builds is gone when the build is done, with or without this line. Any other
is refused: a jail goes when no spec declares it, and its volumes stay. Remove its document, or use
`reconcile destroy JAIL`.

    DESTROY builder
"""

from __future__ import annotations

from reconciler.makejail.options import lacking, read_options
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write DESTROY JAIL."
_INSTEAD = "A jail goes when no spec declares it: remove its document, or use reconcile destroy JAIL."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--force", "--with-all-dependents"}, (), _USAGE)
    if not options.last:
        raise lacking(line, _USAGE)
    jail = DoubleQuoted.host(options.last)
    flags = [flag for flag, option in (("-f", "--force"), ("-R", "--with-all-dependents")) if options.has(option)]
    steps = (
        ("jail", "get", "-I", "--", jail, "ephemeral"),
        ("status", "-q", "--", jail),
        ("stop", "--", jail),
        ("jail", "destroy", *flags, "--", jail),
    )
    return Step("DESTROY", line.rest, line.span, {"steps": steps}, names=jail.names, ends=jail, unavailable=_INSTEAD)


INSTRUCTION = Instruction("DESTROY", _compile)
