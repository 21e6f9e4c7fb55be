"""devfs(8): rulesets and their rules."""

from __future__ import annotations

import shlex

from reconciler.hosts.sandbox import devices
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

USAGE = "usage: devfs [-m mount-point] [-s ruleset] rule ...\n       devfs [-m mount-point] ruleset ruleset"


def main(machine: Machine, command: Command) -> Completed:
    """Answer devfs."""
    answer = Answer()
    try:
        words = list(command.argv[1:])
        ruleset, mountpoint = 0, "/dev"
        while words and words[0] in ("-m", "-s"):
            ruleset = int(words[1]) if words[0] == "-s" else ruleset
            mountpoint = words[1] if words[0] == "-m" else mountpoint
            del words[:2]
        verb = words.pop(0) if words else ""
        if verb == "rule" and words[:1] == ["apply"] and len(words) > 2:
            devices.change(machine, mountpoint, words[1:])
        elif verb == "rule":
            _rule(machine, ruleset, words, command, answer)
        elif verb == "ruleset" and words and words[0].isdigit():
            # Naming a ruleset for a mount brings it into being, without rules.
            if int(words[0]) not in devices.rulesets(machine):
                devices.save(machine, int(words[0]), {})
        else:
            raise Refusal(USAGE.removeprefix("devfs "))
    except Refusal as refusal:
        answer.warn(f"devfs {refusal.message}", refusal.status)
    return answer.completed(command)


def _rule(machine: Machine, ruleset: int, words: list[str], command: Command, answer: Answer) -> None:
    if words[:1] == ["-s"] and len(words) > 1:
        if not words[1].isdigit():
            raise Refusal(f"rule: invalid rset number {words[1]}")
        ruleset = int(words[1])
        words = words[2:]
    verb = words.pop(0) if words else ""
    if verb == "showsets":
        for number, rules in devices.rulesets(machine).items():
            if rules or number not in devices.FIRST:
                answer.say(str(number))
    elif verb == "show":
        for number, text in devices.rulesets(machine).get(ruleset, {}).items():
            if not words or str(number) in words:
                answer.say(f"{number} {text}")
    elif verb == "add":
        for line in _lines(words, command):
            devices.add(machine, ruleset, line)
    elif verb == "del" and words and words[0].isdigit():
        devices.delete(machine, ruleset, int(words[0]))
    elif verb == "delset":
        devices.delete(machine, ruleset)
    elif verb not in ("apply", "applyset"):
        raise Refusal("rule: usage: devfs rule [-s ruleset] add|apply|applyset|del|delset|show|showsets")


def _lines(words: list[str], command: Command) -> list[list[str]]:
    if words != ["-"]:
        return [words]
    data = command.stdin if isinstance(command.stdin, bytes) else b"".join(command.stdin)
    lines = [shlex.split(line, comments=True) for line in data.decode().splitlines()]
    return [line[1:] if line[0] == "add" else line for line in lines if line]


COMMAND = Simulated(("devfs",), main)
