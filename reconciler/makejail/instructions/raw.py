"""RAW [code]: one line of sh on the host, as root, in the folder of the Makejail that it stands in.

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
    """The cd that an INCLUDE makes: into the Makejail's folder, or one beside it, wherever these are staged."""
    if line.outside is not None:
        folder, below = line.outside.named(line.directory), line.outside.below(line.directory)
        place = f'"$RECONCILER_INCLUDED"/{line.outside.number}' + (single("/" + below) if below else "")
    else:
        folder = posixpath.relpath(line.directory, line.root)
        place = '"$RECONCILER_CONTEXT"' + ("" if folder == "." else single("/" + folder))
    # A segment that reads no folder has none staged, and those after it go on from here.
    script = f"mkdir -p -- {place}; cd -- {place}" if "/" in place else f"cd -- {place}"
    return Step("RAW", f"cd {folder}", line.span, {"code": line.rest}, script, enters=True)


INSTRUCTION = Instruction("RAW", _compile)
