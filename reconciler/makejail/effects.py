"""What instructions want of the jail beside its files: mounts, devices, volumes, parameters.

A build makes files only, so these are data. Words hold host variables that only a run may know;
`Program.value` gives a word's value as far as it is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.makejail.problem import warning
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.model.diagnostic import Diagnostic, Span


@dataclass(frozen=True, slots=True)
class Mount:
    """MOUNT: a line of fstab(5). `persist` is false for one that is there during the build only,
    `now` says that it is mounted at once, `number` is its place in the table or `auto`."""

    device: DoubleQuoted
    mountpoint: DoubleQuoted
    type: DoubleQuoted
    options: DoubleQuoted
    dump: str
    order: str
    persist: bool
    now: bool
    number: DoubleQuoted
    span: Span


@dataclass(frozen=True, slots=True)
class Unmount:
    """UMOUNT: undoes a mount below the jail's root."""

    mountpoint: DoubleQuoted
    span: Span


@dataclass(frozen=True, slots=True)
class Device:
    """DEVICE: one rule of devfs(8), without `add`."""

    rule: DoubleQuoted
    span: Span


@dataclass(frozen=True, slots=True)
class Volume:
    """VOLUME: a declared volume; None where the Makejail leaves the choice to AppJail."""

    name: DoubleQuoted
    mountpoint: DoubleQuoted | None
    owner: DoubleQuoted | None
    group: DoubleQuoted | None
    mode: DoubleQuoted | None
    type: DoubleQuoted | None
    span: Span


@dataclass(frozen=True, slots=True)
class Parameter:
    """SET: a jail(8) parameter of the template. `row` adds a value to a list when above 0, `column`
    replaces one word of it, `required` marks it as one that must be given before a start."""

    parameter: DoubleQuoted
    row: DoubleQuoted
    column: DoubleQuoted | None
    required: bool
    span: Span


Effect = Mount | Unmount | Device | Volume | Parameter


_STANDING = ("precreate", "create", "postcreate", "prestart", "start", "poststart")


def ignored(instruction: str, why: str, instead: str, span: Span) -> tuple[Diagnostic, ...]:
    """The warning about an effect that no stage can have; `why` is a sentence about it."""
    detail = f"{instruction}: {why} The instruction is skipped."
    return (warning("makejail-effect-ignored", "An instruction has no effect", detail, instead, span),)


def until_stop(instruction: str, stage: str, instead: str, span: Span) -> tuple[Diagnostic, ...]:
    """The warning about what AppJail would keep and what ends here with the jail; none where each start does it."""
    if stage in _STANDING:
        return ()
    detail = f"{instruction} in stage {stage} holds until the jail stops; under AppJail it would stay."
    return (warning("makejail-effect-passing", "What an instruction does ends with the jail", detail, instead, span),)
