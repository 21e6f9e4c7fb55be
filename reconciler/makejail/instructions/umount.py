"""UMOUNT mountpoint: undoes a mount below the jail's root. The whole rest of the line is the path.

In the build stage, a MOUNT that stands before it is not part of the jail's document then; one with `--nopersist` is
unmounted. In another stage it unmounts, at that moment, what a stage has mounted. What the document mounts, volumes
among it, is not taken away: the instruction fails.

    UMOUNT usr/ports
"""

from __future__ import annotations

import re

from reconciler.makejail.effects import Unmount
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write UMOUNT MOUNTPOINT."


def _compile(line: Line, state: State) -> Step | None:
    place = DoubleQuoted.host(required(line, _USAGE))
    operands = {"mountpoint": DoubleQuoted("${APPJAIL_JAILDIR}/") + place}
    if line.stage == BUILD and not any(_undone(step, operands["mountpoint"]) for step in state.steps):
        effect = Unmount(place, line.span)
        return Step("UMOUNT", line.rest, line.span, operands, names=place.names, effect=effect)
    script = f"reconciler_umount {place.sh}"
    return Step("UMOUNT", line.rest, line.span, operands, script, place.names, host_code=True, lasting=True)


def _undone(step: Step, place: DoubleQuoted) -> bool:
    """Whether this is the MOUNT --nopersist of that place."""
    mounted = step.operands.get("mountpoint")
    passing = step.name == "MOUNT" and step.operands.get("persist") is False
    return passing and isinstance(mounted, DoubleQuoted) and _plain(mounted) == _plain(place)


def _plain(place: DoubleQuoted) -> str:
    return re.sub("/+", "/", place.source).rstrip("/ ")


INSTRUCTION = Instruction("UMOUNT", _compile)
