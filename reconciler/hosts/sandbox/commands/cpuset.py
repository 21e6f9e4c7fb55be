"""cpuset(1): the processors of a jail. Kept and answered for; no process is bound to any."""

from __future__ import annotations

import re

from reconciler.hosts.sandbox import jailtable
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.facts import fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

_LIST = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")


def main(machine: Machine, command: Command) -> Completed:
    """Answer `cpuset -l LIST -j JAIL` and `cpuset -g -j JAIL`."""
    answer = Answer()
    try:
        given = _arguments(list(command.argv[1:]))
        with machine.state.transaction():
            record = jailtable.find(machine, given["j"])
            if record is None:
                raise Refusal(f"getid: {given['j']}: No such process")
            every = set(range(int(fact(machine, "hw.ncpu"))))
            if "l" in given:
                wanted = every if given["l"] == "all" else _numbers(given["l"])
                if not wanted <= every:
                    raise Refusal("setaffinity: Invalid argument")
                record["cpus"] = sorted(wanted)
                machine.state.touch("jails", str(record["jid"]))
            if "g" in given:
                shown = ", ".join(map(str, record.get("cpus", sorted(every))))
                answer.say(f"jail {record['jid']} mask: {shown}")
    except Refusal as refusal:
        answer.warn(refusal.message if refusal.message.startswith("usage") else f"cpuset: {refusal.message}")
    return answer.completed(command)


def _arguments(words: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word in ("-l", "-j") and words:
            given[word[1]] = words.pop(0)
        elif word == "-g":
            given["g"] = ""
        else:
            raise Refusal("usage: cpuset -l cpu-list -j jail\n       cpuset -g -j jail")
    if "j" not in given:
        raise Refusal("usage: cpuset -l cpu-list -j jail\n       cpuset -g -j jail")
    return given


def _numbers(text: str) -> set[int]:
    if not _LIST.fullmatch(text):
        raise Refusal(f"invalid cpulist {text}")
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


COMMAND = Simulated(("cpuset",), main)
