"""kldload(8), kldstat(8): which kernel modules the sandbox host says are loaded."""

from __future__ import annotations

from reconciler.hosts.sandbox.answer import Answer
from reconciler.hosts.sandbox.facts import fact, set_fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

KNOWN = frozenset({
    "zfs", "pf", "pflog", "if_bridge", "if_epair", "if_vlan", "if_tuntap", "nullfs", "fdescfs", "tmpfs", "procfs",
    "linprocfs", "linsysfs", "linux", "unionfs", "fusefs", "ipfw", "dummynet", "bridgestp", "opensolaris",
})  # fmt: skip


def main(machine: Machine, command: Command) -> Completed:
    """Answer both tools."""
    answer = Answer()
    letters = "".join(word[1:] for word in command.argv[1:] if word.startswith("-"))
    words = [word for word in command.argv[1:] if not word.startswith("-")]
    if command.argv[0].endswith("kldstat"):
        _stat(fact(machine, "modules"), letters, words, answer)
        return answer.completed(command)
    loaded = list(fact(machine, "modules"))
    for word in words:
        name = word.rpartition("/")[2].removesuffix(".ko")
        if name not in KNOWN:
            answer.warn(f"kldload: can't load {word}: No such file or directory")
        elif f"{name}.ko" not in loaded:
            loaded.append(f"{name}.ko")
        elif "n" not in letters:
            answer.warn(f"kldload: can't load {word}: module already loaded or in kernel")
    set_fact(machine, "modules", loaded)
    return answer.completed(command)


def _stat(loaded: list[str], letters: str, words: list[str], answer: Answer) -> None:
    wanted = {f"{word.removesuffix('.ko')}.ko" for word in words}
    if wanted - set(loaded):
        if "q" not in letters:
            answer.err.append(f"kldstat: can't find file {words[0]}: No such file or directory\n")
        answer.status = 1
        return
    if "q" in letters:
        return
    answer.say("Id Refs Address                Size Name")
    for number, name in enumerate(loaded, 1):
        if not wanted or name in wanted:
            answer.say(f"{number:2d} {1:4d} 0x{0xFFFFFFFF80000000 + (number - 1) * 0x200000:x} {0x1F000:8x} {name}")


COMMAND = Simulated(("kldload", "kldstat"), main)
