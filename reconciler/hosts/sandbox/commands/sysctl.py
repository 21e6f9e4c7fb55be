"""sysctl(8): what the kernel says of itself, and the few values that may be set."""

from __future__ import annotations

from reconciler.hosts.sandbox import facts, jailparams
from reconciler.hosts.sandbox.answer import Answer
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

_SIZES = {"path": "1024", "name": "256", "osrelease": "32", "host.hostname": "256", "host.domainname": "256",
          "host.hostuuid": "64", "env": "4096", "meta": "4096"}  # fmt: skip
_NODES = {"host": "host.", "ip4": "ip4.", "ip6": "ip6.", "sysvmsg": "sysvmsg.", "sysvsem": "sysvsem.",
          "sysvshm": "sysvshm.", "linux": "linux.", "zfs": "zfs.", "allow.mount": "allow.mount."}  # fmt: skip
_HIDDEN = frozenset({"ip4.addr", "ip6.addr"})
_ROOTS = ("kern", "hw", "net", "security", "vfs", "vm")


def main(machine: Machine, command: Command) -> Completed:
    """Answer sysctl on the host."""
    return answered(machine, command, overrides={}, settable=True)


def answered(machine: Machine, command: Command, *, overrides: dict[str, str], settable: bool) -> Completed:
    """Answer sysctl with some values replaced, as a jail sees them."""
    answer = Answer()
    letters, words = "", list(command.argv[1:])
    while words and words[0].startswith("-"):
        letters += words.pop(0)[1:]
    values = _values(machine, overrides)
    if "a" in letters:
        words = sorted(values)
    for word in words:
        name, equals, new = word.partition("=")
        if equals:
            _set(machine, answer, values, name, new, letters if settable else letters + "!")
        else:
            _get(answer, values, name.rstrip("."), letters)
    return answer.completed(command)


def _values(machine: Machine, overrides: dict[str, str]) -> dict[str, str]:
    values = {name: str(facts.fact(machine, name)) for name in facts.names(machine)}
    values["security.jail.children.cur"] = str(len(machine.state.table("jails")))
    for name in jailparams.ORDER:
        if name not in _HIDDEN and facts.loaded(machine, jailparams.MODULE_PARAMS.get(name, "")):
            values[f"security.jail.param.{_NODES.get(name, name)}"] = _SIZES.get(name, "0")
    return values | overrides


def _get(answer: Answer, values: dict[str, str], name: str, letters: str) -> None:
    found = [name] if name in values else sorted(n for n in values if n.startswith(name + "."))
    if not found:
        if "q" not in letters and "i" not in letters:
            answer.err.append(f"sysctl: unknown oid '{name}'\n")
        answer.status = 0 if "i" in letters else 1
        return
    for own in found:
        sign = "=" if "e" in letters else ": "
        answer.say(values[own] if "n" in letters else f"{own}{sign}{values[own]}")


def _set(machine: Machine, answer: Answer, values: dict[str, str], name: str, new: str, letters: str) -> None:
    if name not in values:
        answer.warn(f"sysctl: unknown oid '{name}'")
        return
    if name in facts.READ_ONLY or name.startswith("security.jail.param."):
        answer.warn(f"sysctl: oid '{name}' is read only")
        return
    level = values["kern.securelevel"]
    if "!" in letters or (name == "kern.securelevel" and int(new) < int(level)):
        answer.warn(f"sysctl: {name}={new}: Operation not permitted")
        return
    if values[name].lstrip("-").isdigit() and not new.lstrip("-").isdigit():
        answer.warn(f"sysctl: invalid integer '{new}'")
        return
    facts.set_fact(machine, name, int(new) if new.lstrip("-").isdigit() else new)
    if "q" not in letters:
        answer.say(new if "n" in letters else f"{name}: {values[name]} -> {new}")


COMMAND = Simulated(("sysctl",), main)
