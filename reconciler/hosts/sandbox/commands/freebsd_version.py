"""freebsd-version(1) on the host: kernel and userland are always of one release here."""

from __future__ import annotations

from reconciler.hosts.sandbox.answer import Answer
from reconciler.hosts.sandbox.facts import fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed


def main(machine: Machine, command: Command) -> Completed:
    """Answer freebsd-version."""
    answer = Answer()
    letters = [c for word in command.argv[1:] if word.startswith("-") for c in word[1:]] or ["u"]
    for _ in letters:
        answer.say(str(fact(machine, "kern.osrelease")))
    return answer.completed(command)


COMMAND = Simulated(("freebsd-version",), main)
