"""RAW [code]: one line of sh on the host, as root, in the Makejail's folder.

It is taken as it stands, and what spans several lines takes several RAWs; other instructions may stand between them,
and run or not as the code decides. A layer ends only where no block is open. The plan lists every RAW of a layer that
is to be built, `policy.host_code` may refuse them, and none is run again where the layer is there already.

    RAW if [ "${debug}" = yes ]; then
    CMD touch /etc/debug
    RAW fi
"""

from __future__ import annotations

import posixpath
import re

from reconciler.makejail.quoting import single
from reconciler.makejail.step import Instruction, Line, State, Step

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _compile(line: Line, state: State) -> Step | None:
    if line.directory:
        return _enter(line)
    return Step(
        "RAW",
        line.rest,
        line.span,
        {"code": line.rest},
        line.rest,
        # A variable may be read without a $, by arithmetic, eval or assignment: every word counts.
        names=tuple(dict.fromkeys(_WORD.findall(line.rest))),
        raw=True,
        host_code=True,
        needs_context=True,
        lasting=True,
    )


def _enter(line: Line) -> Step:
    """The cd that an INCLUDE makes: relative to the Makejail's folder, wherever that is staged."""
    folder = posixpath.relpath(line.directory, line.root)
    script = 'cd -- "$RECONCILER_CONTEXT"' + ("" if folder == "." else single("/" + folder))
    return Step("RAW", f"cd {folder}", line.span, {"code": line.rest}, script, enters=True)


INSTRUCTION = Instruction("RAW", _compile)
