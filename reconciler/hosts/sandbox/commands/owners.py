"""chmod, chown, chgrp and chflags: answered from the sidecar, so that root's powers are not needed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options, reason
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.modes import parse_mode, set_owner
from reconciler.hosts.sandbox.mounts import Place
from reconciler.hosts.sandbox.sidecar import Meta
from reconciler.model.command import Command, Completed

_USAGE = {
    "chmod": "usage: chmod [-fhv] [-R [-H | -L | -P]] mode file ...",
    "chown": "usage: chown [-fhvx] [-R [-H | -L | -P]] owner[:group] file ...",
    "chgrp": "usage: chgrp [-fhvx] [-R [-H | -L | -P]] group file ...",
    "chflags": "usage: chflags [-fhvx] [-R [-H | -L | -P]] flags file ...",
}
_SYNONYMS = {"schange": "schg", "simmutable": "schg", "uchange": "uchg", "uimmutable": "uchg",
             "sappend": "sappnd", "uappend": "uappnd", "sunlink": "sunlnk", "uunlink": "uunlnk",
             "archived": "arch", "hidden": "uhidden"}  # fmt: skip


def _each(place: Place, deep: bool) -> Iterator[Place]:
    yield place
    if not deep or not stat.S_ISDIR(os.lstat(place.real).st_mode):
        return
    for name in sorted(os.listdir(place.real)):
        inside = f"{place.inside}/{name}".lstrip("/")
        yield from _each(Place(place.mount, place.tree, inside, f"{place.path.rstrip('/')}/{name}"), deep)


def _chmod(machine: Machine, place: Place, word: str) -> None:
    sidecar = machine.sidecar(place)
    mode = os.lstat(place.real).st_mode
    if not stat.S_ISLNK(mode):
        sidecar.chmod(place.inside, parse_mode(word, sidecar.mode(place.inside), folder=stat.S_ISDIR(mode)))


def _chown(machine: Machine, place: Place, word: str) -> None:
    user, colon, group = word.partition(":")
    if not colon and "." in user:
        user, _, group = user.partition(".")
    set_owner(machine, place, user, group)


def _chgrp(machine: Machine, place: Place, word: str) -> None:
    set_owner(machine, place, "", word)


def _chflags(machine: Machine, place: Place, word: str) -> None:
    flags = list(machine.sidecar(place).get(place.inside).get("flags", []))
    if word == "0":
        flags = []
    for each in word.split(",") if word != "0" else ():
        name, on = each, True
        if each.startswith("no") and each != "nodump":
            name, on = each[2:], False
        elif each == "dump":
            name, on = "nodump", False
        name = _SYNONYMS.get(name, name)
        flags = [flag for flag in flags if flag != name] + ([name] if on else [])
    machine.sidecar(place).put(place.inside, Meta(flags=flags))


_NAMES: dict[str, Callable[[Machine, Place, str], None]] = {
    "chmod": _chmod, "chown": _chown, "chgrp": _chgrp, "chflags": _chflags,
}  # fmt: skip


def _run(machine: Machine, answer: Answer, name: str, argv: Sequence[str]) -> None:
    # A mode such as -x is an operand, but no one of ours is called so.
    given, operands = options(argv, "fhvxRHLP", _USAGE[name], 1)
    if len(operands) < 2:
        raise Refusal(_USAGE[name])
    for path in operands[1:]:
        try:
            place = machine.place(path, follow="h" not in given and "R" not in given)
            os.lstat(place.real)
            if not machine.mounts.writable(place.mount):
                raise OSError(errno.EROFS, "Read-only file system")
            for each in _each(place, "R" in given):
                _NAMES[name](machine, each, operands[0])
            machine.sidecar(place).flush()
        except OSError as error:
            answer.warn(f"{name}: {path}: {reason(error)}")


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    try:
        _run(machine, answer, command.argv[0].rsplit("/", 1)[-1], command.argv[1:])
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    return answer.completed(command)


COMMAND = Simulated(tuple(_NAMES), _main)
