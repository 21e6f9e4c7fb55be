"""rctl(8): resource limits, kept by the jail's name, so that they outlive it."""

from __future__ import annotations

import re

from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.facts import fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

RESOURCES = (
    "cputime", "datasize", "stacksize", "coredumpsize", "memoryuse", "memorylocked", "maxproc", "openfiles",
    "vmemoryuse", "pseudoterminals", "swapuse", "nthr", "msgqqueued", "msgqsize", "nmsgq", "nsem", "nsemop",
    "nshm", "shmsize", "wallclock", "pcpu", "readbps", "writebps", "readiops", "writeiops",
)  # fmt: skip
IO = frozenset({"readbps", "writebps", "readiops", "writeiops"})
NO_DENY = IO | {"cputime", "wallclock"}
IN_BYTES = IO - {"readiops", "writeiops"} | {
    "datasize", "stacksize", "coredumpsize", "memoryuse", "memorylocked", "vmemoryuse", "swapuse", "msgqsize",
    "shmsize",
}  # fmt: skip
ACTIONS = re.compile(r"deny|log|devctl|throttle|sig[a-z0-9]+")
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_KEY = "rctl:"


def main(machine: Machine, command: Command) -> Completed:
    """Answer rctl."""
    answer = Answer()
    try:
        if not fact(machine, "kern.racct.enable"):
            raise Refusal("RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable")
        words = list(command.argv[1:])
        letters = ""
        while words and words[0].startswith("-"):
            letters += words.pop(0)[1:]
        _act(machine, letters, words, answer)
    except Refusal as refusal:
        answer.warn(f"rctl: {refusal.message}", refusal.status)
    return answer.completed(command)


def _act(machine: Machine, letters: str, words: list[str], answer: Answer) -> None:
    unknown = set(letters) - set("ahlnru")
    if unknown:
        raise Refusal(f"illegal option -- {min(unknown)}\nusage: rctl [ -h ] [filter ...]")
    for word in words or [""]:
        if "a" in letters:
            _add(machine, word)
        elif "r" in letters:
            _remove(machine, word)
        elif "u" in letters:
            for resource in RESOURCES:
                answer.say(f"{resource}=0")
        else:
            for rule in _matching(machine, word):
                answer.say(_human(rule) if "h" in letters else rule)


def _rules(machine: Machine) -> list[str]:
    table = machine.state.table("rules")
    # The kernel keeps the newest rule of a subject first.
    found = [(number, key[len(_KEY) :]) for key, number in table.items() if key.startswith(_KEY)]
    return [rule for _, rule in sorted(found, reverse=True)]


def _matching(machine: Machine, word: str) -> list[str]:
    wanted = word.split(":")
    found = []
    for rule in _rules(machine):
        subject, who, resource, action = rule.split(":", 3)
        own = [subject, who, resource, *action.split("=", 1)]
        asked = [*wanted[:3], *(wanted[3].split("=", 1) if len(wanted) > 3 else [])]
        if all(not want or want == have for want, have in zip(asked, own, strict=False)):
            found.append(rule)
    return found


def _add(machine: Machine, word: str) -> None:
    def fail(reason: str) -> Refusal:
        return Refusal(f"failed to add rule '{word}': {reason}")

    match = re.fullmatch(r"([a-z]+):([^:]*):([a-z]+):([a-z0-9]+)=([0-9]+)([a-zA-Z]?)(/[a-z]+)?", word)
    if match is None:
        raise fail("Invalid argument")
    subject, who, resource, action, amount, unit, per = match.groups()
    fits = subject in ("jail", "user", "process", "loginclass") and who and resource in RESOURCES
    if not fits or not ACTIONS.fullmatch(action) or unit.lower() not in _UNITS:
        raise fail("Invalid argument")
    if (action == "deny" and resource in NO_DENY) or (action == "throttle" and resource not in IO):
        raise fail("Operation not supported")
    per = "" if per == f"/{subject}" else per  # rctl_rule_to_sbuf of sys/kern/kern_rctl.c
    rule = f"{subject}:{who}:{resource}:{action}={int(amount) * _UNITS[unit.lower()]}{per or ''}"
    table = machine.state.table("rules")
    if _KEY + rule not in table:
        table[_KEY + rule] = 1 + max((n for k, n in table.items() if k.startswith(_KEY)), default=0)
        machine.state.touch("rules", _KEY + rule)


def _remove(machine: Machine, word: str) -> None:
    found = _matching(machine, word)
    if not found:
        raise Refusal(f"failed to remove rule '{word}': No such process")
    for rule in found:
        machine.state.table("rules").pop(_KEY + rule)
        machine.state.touch("rules", _KEY + rule)


def _human(rule: str) -> str:
    head, _, amount = rule.rpartition("=")
    number, slash, per = amount.partition("/")
    value = int(number)
    if head.split(":")[2] not in IN_BYTES:
        return rule
    for unit in ("P", "T", "G", "M", "K"):
        size = _UNITS[unit.lower()]
        if value >= size and value % size == 0:
            return f"{head}={value // size}{unit}{slash}{per}"
    return rule


COMMAND = Simulated(("rctl",), main)
