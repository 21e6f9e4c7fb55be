"""hostname(1): the sandbox host's name, shown or set."""

from __future__ import annotations

from reconciler.hosts.sandbox.answer import Answer
from reconciler.hosts.sandbox.facts import fact, set_fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed


def main(machine: Machine, command: Command) -> Completed:
    """Answer hostname on the host."""
    answer = Answer()
    operands = [word for word in command.argv[1:] if not word.startswith("-")]
    if operands:
        set_fact(machine, "kern.hostname", operands[0])
        return answer.completed(command)
    name = str(fact(machine, "kern.hostname"))
    answer.say(name.partition(".")[0] if "-s" in command.argv else name)
    return answer.completed(command)


COMMAND = Simulated(("hostname",), main)
