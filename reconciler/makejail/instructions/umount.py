"""UMOUNT mountpoint: undoes a mount below the jail's root. The whole rest of the line is the path.

A MOUNT that stands before it is not part of the jail's document then. Only in the build stage.

    UMOUNT usr/ports
"""

from __future__ import annotations

from reconciler.makejail.effects import Unmount, ignored
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write UMOUNT MOUNTPOINT."


def _compile(line: Line, state: State) -> Step | None:
    place = DoubleQuoted.host(required(line, _USAGE))
    operands = {"mountpoint": DoubleQuoted("${APPJAIL_JAILDIR}/") + place}
    warnings = ignored("UMOUNT", line.stage, f"In the spec: leave {line.rest.strip()} out of mounts.", line.span)
    effect = Unmount(place, line.span)
    return Step("UMOUNT", line.rest, line.span, operands, names=place.names, effect=effect, warnings=warnings)


INSTRUCTION = Instruction("UMOUNT", _compile)
