"""RESTART: the build jail is shut down and its rc(8) runs, as a restart of the jail would.

Services that SYSRC has enabled run from here on. Nothing else of a build starts them: before, the build jail runs
nothing that no instruction has started. What still runs at the end of a segment makes its layer live: a later build
runs it again. The jail itself starts anew when its build is done. Other stages have no RESTART, in the original
neither: there, what is to run anew is a SERVICE, and the jail is restarted from outside.

    SYSRC postgresql_enable=YES
    RESTART
    CMD su -m postgres -c "createdb app"
"""

from __future__ import annotations

from reconciler.makejail.step import Instruction, Line, State, Step


def _compile(line: Line, state: State) -> Step | None:
    return Step("RESTART", line.rest, line.span, script="reconciler_stop\nreconciler_start", inside=True, lasting=True)


INSTRUCTION = Instruction("RESTART", _compile, build_only=True)
