"""VOLUME [--group G] [--mountpoint M] [--owner O] [--perm P] [--type T] name: declares a volume.

It becomes part of `volumes:` of the jail's document: a dataset of its own that no new root touches, mounted at M
(`/volumes/NAME` without). Where the spec has a volume of that name, its own fields win. When the line goes, the
volume is let go of only with consent, and its data stays. Where a MOUNT of type `<volumefs>` names it, it is that
folder of the host. Another stage than build cannot declare one, for a volume is a dataset that is planned, kept and
guarded: there it is skipped, with a warning. What a stage needs for a while, MOUNT gives it.

    VOLUME --mountpoint /var/db/postgres --owner 770 --group 770 --perm 0700 data
"""

from __future__ import annotations

from reconciler.makejail.effects import Volume, ignored
from reconciler.makejail.lines import blank
from reconciler.makejail.options import lacking, read_options
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write VOLUME NAME, or VOLUME --mountpoint PATH NAME."
_WHY = "a volume is a dataset, which is planned before any stage runs."
_FIELDS = ("group", "mountpoint", "owner", "perm", "type")


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, (), {f"--{field}" for field in _FIELDS}, _USAGE)
    if blank(options.last):
        raise lacking(line, _USAGE)
    name = DoubleQuoted.host(options.last)
    given = {field: options.value(f"--{field}") for field in _FIELDS}
    group, mountpoint, owner, mode, kind = (
        None if text is None else DoubleQuoted.host(text) for text in given.values()
    )
    operands = {"name": name, "group": group, "mountpoint": mountpoint, "owner": owner, "perm": mode, "type": kind}
    instead = (
        f"In the spec: volumes: [{{name: {options.last}, "
        f"mountpoint: {given['mountpoint'] or '/volumes/' + options.last}}}]"
    )
    return Step(
        "VOLUME",
        line.rest,
        line.span,
        operands,
        names=tuple(n for word in operands.values() if word for n in word.names),
        effect=Volume(name, mountpoint, owner, group, mode, kind, line.span),
        warnings=() if line.stage == BUILD else ignored("VOLUME", _WHY, instead, line.span),
    )


INSTRUCTION = Instruction("VOLUME", _compile)
