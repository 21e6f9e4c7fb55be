"""Names of datasets and snapshots: which are legal, and which exist."""

from __future__ import annotations

import re

from reconciler.hosts.sandbox.answer import Refusal, reason
from reconciler.hosts.sandbox.machine import Machine

_BAD = re.compile(r"[^A-Za-z0-9_.:\- ]")
LONGEST = 255


def wrong(name: str, *, snapshot: bool = False) -> str:
    """What is wrong with a name, in the words of zfs; "" when it is legal."""
    if len(name) > LONGEST:
        return "name is too long"
    if name.count("@") > 1:
        return "multiple '@' and/or '#' delimiters in name"
    if "@" in name and not snapshot:
        return "snapshot delimiter '@' is not expected here"
    if name.startswith("/"):
        return "leading slash in name"
    if name.endswith("/"):
        return "trailing slash in name"
    if "%" in name:
        return "invalid character % in name"
    for part in re.split("[/@]", name):
        if not part:
            return "empty component or misplaced '@' or '#' delimiter in name"
        if part in (".", ".."):
            return f"{'self' if part == '.' else 'parent'} reference, '{part}' is found in name"
        if found := _BAD.search(part):
            return f"invalid character '{found[0]}' in name"
    return ""


def existing(machine: Machine, name: str, verb: str = "open") -> str:
    """The name when a dataset or snapshot has it; Refusal otherwise."""
    if problem := wrong(name, snapshot=True):
        raise Refusal(f"cannot {verb} '{name}': {problem}")
    if machine.pool.get(name) is None:
        raise Refusal(f"cannot {verb} '{name}': dataset does not exist")
    return name


def by_path(machine: Machine, path: str) -> str:
    """The dataset mounted at, or around, a path of the machine; Refusal when there is none."""
    try:
        place = machine.place(path, write=False)
        place.real.lstat()
    except OSError as error:
        raise Refusal(f"cannot open '{path}': {reason(error)}") from error
    mount = machine.mounts.table[place.mount]
    if mount["fstype"] != "zfs":
        raise Refusal(f"cannot open '{path}': not a ZFS filesystem")
    return mount["source"]


def new(machine: Machine, name: str, *, parents: bool = False) -> None:
    """Refuse a name that cannot be created: illegal, taken, without pool or parent."""
    if problem := wrong(name):
        raise Refusal(f"cannot create '{name}': {problem}")
    pool = name.split("/")[0]
    if pool not in machine.pool.datasets:
        raise Refusal(f"cannot create '{name}': no such pool '{pool}'")
    if name in machine.pool.datasets:
        raise Refusal(f"cannot create '{name}': dataset already exists")
    if not parents and name.rpartition("/")[0] not in machine.pool.datasets:
        raise Refusal(f"cannot create '{name}': parent does not exist")
