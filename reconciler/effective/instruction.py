"""DEVICE, LABEL, MOUNT, SET and VOLUME of a build stage, as parts of the jail's document."""

from __future__ import annotations

from typing import assert_never

from reconciler.effective.part import Found, Part, rule
from reconciler.effective.template import parameter_parts
from reconciler.makejail.effects import Device, Mount, Parameter, Volume
from reconciler.makejail.problem import MakejailError, warning
from reconciler.makejail.program import Label, Program
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.tokens import words
from reconciler.model.diagnostic import Diagnostic, Span

_SEEDED = "In the spec: volumes: [{name: NAME, mountpoint: PATH}]"


def instruction_parts(program: Program) -> Found:
    """Everything that the instructions of a program say of the document, in their order by kind."""
    found: Found = []
    folders = [mount for mount in program.mounts if _is(program, mount, "<volumefs>")]
    backed = {(program.value(mount.mountpoint) or "").strip("/"): mount for mount in folders}
    every: list[Volume | Mount | Device | Parameter | Label] = [*program.volumes, *program.mounts, *program.devices]
    for effect in [*every, *program.parameters, *program.labels]:
        try:
            match effect:
                case Volume():
                    found += _volume(program, effect, backed)
                case Mount():
                    found += [] if effect in backed.values() else _mount(program, effect)
                case Device():
                    text = rule(words(_known(program, effect.rule), effect.span))
                    found.append(Part(("devfs",), text, effect.span, "DEVICE", append=True))
                case Parameter():
                    found += _parameter(program, effect)
                case Label():
                    found.append(Part(("labels", effect.key), _known(program, effect.value), effect.span, "LABEL"))
                case _:
                    assert_never(effect)
        except _Unknown:
            found.append(_unread(effect.span, "It names a variable that only the build will know."))
        except MakejailError as error:
            found += error.diagnostics
    return found


class _Unknown(Exception):
    """A word holds a variable that nobody knows before the run."""


def _known(program: Program, word: DoubleQuoted) -> str:
    found = program.value(word)
    if found is None:
        raise _Unknown
    return found


def _is(program: Program, mount: Mount, kind: str) -> bool:
    return (program.value(mount.type) or "").partition(":")[0] == kind


def _unread(span: Span, detail: str) -> Diagnostic:
    hint = "Write it in the spec, or make the variable an ARG with a default."
    return warning("effect-unknown", "What an instruction wants of the jail is not known", detail, hint, span)


def _volume(program: Program, volume: Volume, backed: dict[str, Mount]) -> Found:
    """A durable dataset; or, where a mount of type <volumefs> names it, that folder of the host."""
    name = _known(program, volume.name)
    place = _known(program, volume.mountpoint) if volume.mountpoint else f"/volumes/{name}"
    behind = backed.get(name)
    if behind is not None:
        options = _known(program, behind.options)
        return mount_parts(_known(program, behind.device), place, "nullfs", options, behind.span, "MOUNT")
    fields = (("owner", volume.owner), ("group", volume.group), ("mode", volume.mode))
    given = {"mountpoint": place, **{key: _known(program, word) for key, word in fields if word}}
    return [Part(("volumes", name, key), value, volume.span, "VOLUME") for key, value in given.items()]


def _mount(program: Program, mount: Mount) -> Found:
    known = [_known(program, word) for word in (mount.device, mount.mountpoint, mount.type, mount.options)]
    return mount_parts(known[0], known[1], known[2], known[3], mount.span, "MOUNT")


def mount_parts(device: str, place: str, kind: str, options: str, span: Span, by: str) -> Found:
    """A line of fstab(5) below the jail's root. AppJail's own types that fill a folder first are not there."""
    if kind.startswith("<"):
        detail = f"{by}: the type {kind} is AppJail's own."
        return [warning("effect-unknown", "What an instruction wants of the jail is not known", detail, _SEEDED, span)]
    path = "/" + place.strip("/")
    fields = {"device": device, "type": kind, "options": options}
    return [Part(("mounts", path, key), value, span, by) for key, value in fields.items()]


def _parameter(program: Program, parameter: Parameter) -> Found:
    text = _known(program, parameter.parameter)
    key, equals, value = text.partition("=")
    if parameter.required and not equals:
        return [_unread(parameter.span, f"SET --mark {key} wants a value before the jail starts.")]
    if parameter.column is not None:
        return [_unread(parameter.span, f"SET --column edits one word of {key}.")]
    # The original cuts a value at its second equals sign.
    found = words(value.partition("=")[0], parameter.span) if equals else []
    parts = parameter_parts(key, found, parameter.span, "SET")
    return [_unread(parameter.span, f"No field of the spec holds the parameter {key}.")] if parts is None else parts
