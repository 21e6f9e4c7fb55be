"""zfs create and clone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.mounting import attach, mountable
from reconciler.hosts.sandbox.commands.zfs.names import existing, new, wrong
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.properties import COLUMNS, check


def assignments(texts: Iterable[str], complaint: str, verb: str) -> dict[str, str]:
    """`-o property=value` as a dictionary; Refusal with `complaint` before what is wrong."""
    props: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise Refusal(f"missing '=' for property=value argument\n{usage(verb)}", 2)
        name = COLUMNS.get(name, name)
        if name in props:
            raise Refusal(f"property '{name}' specified multiple times\n{usage(verb)}", 2)
        props[name], problem = check(name, value, creating=True)
        if problem:
            raise Refusal(f"{complaint}: {problem}")
    return props


def make_parents(machine: Machine, name: str) -> None:
    """Create the missing datasets above a new one, and mount them."""
    parts = name.split("/")
    for count in range(2, len(parts)):
        parent = "/".join(parts[:count])
        if parent not in machine.pool.datasets:
            machine.pool.add(parent, {})
            if mountable(machine, parent):
                attach(machine, parent)


def create(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs create, of file systems: volumes have no place in the sandbox."""
    given, operands = options(argv, "nPpuvsV:b:o:", usage("create"))
    if "V" in given:
        raise Refusal(f"cannot create '{operands[-1] if operands else ''}': volumes are not simulated")
    if len(operands) != 1:
        problem = "missing filesystem argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('create')}", 2)
    name = operands[0]
    props = assignments(given.get("o", []), f"cannot create '{name}'", "create")
    parents = "p" in given
    if parents and not wrong(name) and name in machine.pool.datasets:
        return
    new(machine, name, parents=parents)
    if "n" in given:
        return
    if parents:
        make_parents(machine, name)
    machine.pool.add(name, props)
    if "u" not in given and mountable(machine, name):
        attach(machine, name)


def clone(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs clone; the clone shares its origin's tree until it is written."""
    given, operands = options(argv, "puo:", usage("clone"))
    if len(operands) != 2:
        problem = ("missing source dataset argument", "missing target dataset argument")[min(len(operands), 1)]
        raise Refusal(f"{problem if len(operands) < 2 else 'too many arguments'}\n{usage('clone')}", 2)
    source, name = operands
    if "@" not in source:
        raise Refusal(f"cannot open '{source}': missing '@' delimiter in snapshot name, did you mean to use -r?")
    existing(machine, source)
    props = assignments(given.get("o", []), f"cannot create '{name}'", "clone")
    parents = "p" in given
    if parents and name in machine.pool.datasets:
        return
    new(machine, name, parents=parents)
    if parents:
        make_parents(machine, name)
    machine.pool.add(name, props, source)
    if "u" not in given and mountable(machine, name):
        attach(machine, name)
