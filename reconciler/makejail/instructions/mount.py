"""MOUNT [--nopersist | --nomount --nro N] device mountpoint [type [options [dump [pass]]]]: one more mount.

It becomes part of `mounts:` of the jail's document (nullfs and rw where nothing else is said): planned, corrected
when it drifts, and undone when the line goes. It reaches for the host, so `policy.host_code` may refuse it. A mount
of type `<volumefs>` gives the VOLUME of that name a folder of the host instead of a dataset. `<pseudofs>` is not
there: a volume does what it is for.

With `--nopersist` it is mounted at that moment of the build, and stays for the instructions after it, up to an UMOUNT
or the end of the build. What it shows is the host's, and no digest covers it: a layer is not built anew because it
changed.

In another stage it is mounted at that moment, and unmounted when the jail stops, with or without `--nopersist`; plans
take no notice of it. `--nomount` alone has no effect there. jail(8) mounts it, which follows no link of the jail; the
mount point is made. Devices of nullfs are absolute paths.

    MOUNT /usr/ports usr/ports nullfs ro
    MOUNT --nopersist /var/cache/distfiles usr/ports/distfiles
"""

from __future__ import annotations

from reconciler.makejail.effects import Mount, ignored, until_stop
from reconciler.makejail.lines import blank
from reconciler.makejail.options import read_options
from reconciler.makejail.problem import DATA, USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write MOUNT DEVICE MOUNTPOINT, or MOUNT DEVICE MOUNTPOINT TYPE OPTIONS."
_DEFAULTS = ("nullfs", "rw", "0", "0")


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--nopersist", "--nomount"}, {"--nro"}, _USAGE)
    words = options.words
    if any(map(blank, words[:7])):
        summary = "A field of a mount is blank"
        raise problem(DATA, "mount-blank", summary, f"MOUNT {line.rest}", _USAGE, line.span)
    if len(words) < 2:
        raise problem(USAGE, "usage", "MOUNT needs a device and a mount point", hint=_USAGE, span=line.span)
    device, mountpoint, kind, flags, dump, order = (*words[:6], *_DEFAULTS[max(len(words[:6]) - 2, 0) :])
    for number in (dump, order):
        if not (number.isascii() and number.isdigit()):
            detail = f"{number!r} is no number; dump and pass are."
            raise problem(DATA, "mount-number", "A field of a mount must be a number", detail, _USAGE, line.span)
    mount = Mount(
        device=DoubleQuoted.host(device),
        mountpoint=DoubleQuoted.host(mountpoint),
        type=DoubleQuoted.host(kind),
        options=DoubleQuoted.host(flags),
        dump=dump,
        order=order,
        persist=not options.has("--nopersist"),
        now=not options.has("--nomount"),
        number=DoubleQuoted.host(options.value("--nro") or "auto"),
        span=line.span,
    )
    instead = f"In the spec: mounts: [{{device: {device}, mountpoint: {mountpoint}, type: {kind}, options: {flags}}}]"
    return _step(line, mount, instead)


def _step(line: Line, mount: Mount, instead: str) -> Step:
    """A part of the document, or what a script does at its moment."""
    operands, names = _operands(mount), _names(mount)
    if mount.persist and line.stage == BUILD:
        return Step("MOUNT", line.rest, line.span, operands, names=names, effect=mount)
    why = _without_moment(line, mount)
    if why:
        warnings = ignored("MOUNT", why, instead, line.span)
        return Step("MOUNT", line.rest, line.span, operands, names=names, warnings=warnings)
    words = (mount.mountpoint, mount.device, mount.type, mount.options)
    script = f"reconciler_mount {' '.join(word.sh for word in words)}"
    warnings = until_stop("MOUNT", line.stage, instead, line.span) if mount.persist else ()
    return Step("MOUNT", line.rest, line.span, operands, script, names, host_code=True, warnings=warnings)


def _without_moment(line: Line, mount: Mount) -> str:
    if mount.persist and not mount.now:
        return f"with --nomount nothing happens in stage {line.stage}, and the jail's mounts are planned before."
    if (mount.type.static or "").startswith("<"):
        return f"the type {mount.type.static} is AppJail's own."
    return ""


def _operands(mount: Mount) -> dict[str, object]:
    fields = {"device": mount.device, "type": mount.type, "options": mount.options}
    if not mount.persist:
        place = DoubleQuoted("${APPJAIL_JAILDIR}/") + mount.mountpoint
        return {"persist": False, **fields, "mountpoint": place}
    return {
        "persist": True,
        "nro": mount.number,
        **fields,
        "mountpoint": mount.mountpoint,
        "dump": mount.dump,
        "pass": mount.order,
        "mount_now": mount.now,
    }


def _names(mount: Mount) -> tuple[str, ...]:
    words = (mount.device, mount.mountpoint, mount.type, mount.options)
    return tuple(dict.fromkeys(name for word in words for name in word.names))


INSTRUCTION = Instruction("MOUNT", _compile)
