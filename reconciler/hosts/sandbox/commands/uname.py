"""uname(1): the release that the sandbox host says it runs."""

from __future__ import annotations

from reconciler.hosts.sandbox.answer import Answer
from reconciler.hosts.sandbox.facts import fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed


def main(machine: Machine, command: Command) -> Completed:
    """Answer uname on the host."""
    names = ("kern.ostype", "kern.hostname", "kern.osrelease", "kern.osreldate", "kern.ident", "hw.machine")
    return spoken(command, {name: str(fact(machine, name)) for name in names})


def spoken(command: Command, told: dict[str, str]) -> Completed:
    """The answer from values by sysctl name."""
    letters = "".join(word[1:] for word in command.argv[1:] if word.startswith("-")) or "s"
    version = f"FreeBSD {told['kern.osrelease']} {told['kern.ident']}"
    words = {
        "s": told["kern.ostype"], "n": told["kern.hostname"], "r": told["kern.osrelease"], "v": version,
        "m": told["hw.machine"], "p": told["hw.machine"], "i": told["kern.ident"],
        "K": told["kern.osreldate"], "U": told["kern.osreldate"], "b": "0" * 40,
    }  # fmt: skip
    answer = Answer()
    unknown = sorted(set(letters) - set(words) - {"a", "o"})
    if unknown:
        answer.warn(f"uname: illegal option -- {unknown[0]}\nusage: uname [-abiKmnoprsUv]")
        return answer.completed(command)
    asked = set("snrvm") | set(letters) if "a" in letters else set(letters)
    order = "snrvmpiKUb"
    asked |= {"s"} if "o" in letters else set()
    answer.say(" ".join(words[letter] for letter in order if letter in asked))
    return answer.completed(command)


COMMAND = Simulated(("uname",), main)
