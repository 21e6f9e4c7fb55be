"""zfs jail, unjail and allow."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.names import existing
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine


def _jail_id(machine: Machine, name: str) -> str:
    for key, record in machine.state.table("jails").items():
        if name in (key, str(record.get("jid", "")), str(record.get("name", ""))):
            return str(record.get("jid", key))
    return ""


def _attachment(machine: Machine, argv: Sequence[str], verb: str) -> tuple[str, str]:
    _given, operands = options(argv, "", usage(verb))
    if len(operands) != 2:
        problem = "missing argument(s)" if len(operands) < 2 else "too many arguments"
        raise Refusal(f"{problem}\n{usage(verb)}", 2)
    jid = _jail_id(machine, operands[0])
    if not jid:
        raise Refusal(f"invalid jail id or name\n{usage(verb)}", 2)
    name = existing(machine, operands[1])
    if machine.pool.value(name, "jailed")[0] != "on":
        raise Refusal(f"cannot {verb} '{name}': 'jailed' property must be set to 'on'")
    return jid, name


def jail(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs jail: hand a dataset with jailed=on to a running jail."""
    jid, name = _attachment(machine, argv, "jail")
    machine.pool.datasets[name]["jail"] = jid
    machine.pool.changed(name)


def unjail(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs unjail: take it back."""
    _jid, name = _attachment(machine, argv, "unjail")
    machine.pool.datasets[name]["jail"] = ""
    machine.pool.changed(name)


def allow(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs allow: shows that nothing is delegated; the sandbox has one user, root."""
    _given, operands = options(argv, "", usage("allow"))
    if len(operands) != 1:
        raise Refusal(f"missing dataset argument\n{usage('allow')}", 2)
    existing(machine, operands[0])
