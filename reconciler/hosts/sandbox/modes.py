"""Modes and owners as words: what chmod, chown and stat read and write."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.mounts import Place
from reconciler.hosts.sandbox.sidecar import Meta

_CLAUSE = re.compile(r"([ugoa]*)([-+=])([rwxXst]*)")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
_FIRST_USERS = {"root": 0, "toor": 0, "daemon": 1, "operator": 2, "bin": 3, "www": 80, "nobody": 65534}
_FIRST_GROUPS = {"wheel": 0, "daemon": 1, "kmem": 2, "sys": 3, "tty": 4, "operator": 5, "mail": 6, "bin": 7,
                 "staff": 20, "www": 80, "nogroup": 65533, "nobody": 65534}  # fmt: skip


def parse_mode(text: str, old: int, *, folder: bool) -> int:
    """The mode that `text`, octal or symbolic, makes of `old`."""
    if re.fullmatch("[0-7]{1,4}", text):
        return int(text, 8)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise Refusal(f"chmod: invalid file mode: {text}")
        who = sum({_WHO[letter] for letter in (match[1].replace("a", "ugo") or "ugo")})
        bits = 0
        for letter in match[3]:
            if letter == "X":
                bits |= 0o111 if folder or old & 0o111 else 0
            else:
                bits |= _BITS[letter]
        if match[2] == "=":
            old = (old & ~who) | (bits & who)
        else:
            old = old | (bits & who) if match[2] == "+" else old & ~(bits & who)
    return old


def numbers(machine: Machine, file: str, first: dict[str, int]) -> dict[str, int]:
    """Names and numbers of the machine's passwd(5) or group(5), with those every FreeBSD has."""
    path: Path = machine.host / "etc" / file
    found = dict(first)
    if path.is_file() and not path.is_symlink():
        for line in path.read_text(errors="replace").splitlines():
            fields = line.split(":")
            if len(fields) > 2 and fields[2].isdigit():
                found[fields[0]] = int(fields[2])
    return found


def user_number(machine: Machine, name: str) -> int:
    """The number of a user by name or number; Refusal when there is none."""
    users = numbers(machine, "passwd", _FIRST_USERS)
    if name in users or not name.isdigit():
        if name not in users:
            raise Refusal(f"chown: {name}: illegal user name")
        return users[name]
    return int(name)


def group_number(machine: Machine, name: str) -> int:
    """The number of a group by name or number; Refusal when there is none."""
    groups = numbers(machine, "group", _FIRST_GROUPS)
    if name in groups or not name.isdigit():
        if name not in groups:
            raise Refusal(f"chgrp: {name}: illegal group name")
        return groups[name]
    return int(name)


def name_of(machine: Machine, number: int, *, group: bool = False) -> str:
    """The name behind a number, or the number."""
    table = numbers(machine, "group" if group else "passwd", _FIRST_GROUPS if group else _FIRST_USERS)
    return next((name for name, each in table.items() if each == number), str(number))


def set_owner(machine: Machine, place: Place, user: str, group: str) -> None:
    """Remember another owner; "" leaves one as it is."""
    meta = Meta()
    if user:
        meta["uid"] = user_number(machine, user)
    if group:
        meta["gid"] = group_number(machine, group)
    if meta:
        machine.sidecar(place).put(place.inside, meta)
