"""pfctl(8): rules of anchors loaded, flushed and shown."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from reconciler.hosts.sandbox import packetfilter
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.facts import fact, set_fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

_MAIN = ['nat-anchor "reconciler" all', 'rdr-anchor "reconciler" all', 'anchor "reconciler" all']


@dataclass(slots=True)
class Asked:
    """What the command line asked for; `flags` are the letters without operand."""

    flags: set[str] = field(default_factory=set)
    anchor: str = ""
    file: str | None = None
    show: str = ""
    flush: str = ""


def main(machine: Machine, command: Command) -> Completed:
    """Answer pfctl."""
    answer = Answer()
    try:
        asked = _arguments(list(command.argv[1:]))
        if "pf.ko" not in fact(machine, "modules"):
            raise Refusal("/dev/pf: No such file or directory")
        if int(fact(machine, "kern.securelevel")) >= 3 and (asked.file or asked.flush) and "n" not in asked.flags:
            raise Refusal("DIOCXBEGIN: Operation not permitted")
        _act(machine, asked, command, answer)
    except Refusal as refusal:
        answer.warn(refusal.message if refusal.status == 2 else f"pfctl: {refusal.message}", min(refusal.status, 1))
    return answer.completed(command)


def _arguments(words: list[str]) -> Asked:
    asked = Asked()
    names = {"a": "anchor", "f": "file", "s": "show", "F": "flush"}
    while words:
        word = words.pop(0)
        letters = word[1:] if word.startswith("-") else ""
        if not letters:
            raise Refusal(f"unknown operand {word}")
        for place, letter in enumerate(letters):
            if letter in names or letter in "DiKkLpPToxtI":
                value = letters[place + 1 :] or (words.pop(0) if words else "")
                if letter in names:
                    setattr(asked, names[letter], value)
                break
            if letter not in "AdeghmNnOqRrvzM":
                raise Refusal(f"illegal option -- {letter}")
            asked.flags.add(letter)
    return asked


def _act(machine: Machine, asked: Asked, command: Command, answer: Answer) -> None:
    if "d" in asked.flags or "e" in asked.flags:
        on = "e" in asked.flags
        if bool(fact(machine, "pf.enabled")) == on:
            raise Refusal(f"pf already {'enabled' if on else 'disabled'}" if on else "pf not enabled")
        set_fact(machine, "pf.enabled", on)
        answer.err.append(f"pf {'enabled' if on else 'disabled'}\n")
    if asked.flush:
        _flush(machine, asked, answer)
    if asked.file is not None:
        _load(machine, asked, command)
    if asked.show:
        _show(machine, asked, answer)


def _load(machine: Machine, asked: Asked, command: Command) -> None:
    if asked.file == "-":
        data = command.stdin if isinstance(command.stdin, bytes) else b"".join(command.stdin)
    else:
        path = machine.resolve(str(asked.file))
        if not path.is_file():
            raise Refusal(f"{asked.file}: No such file or directory")
        data = path.read_bytes()
    try:
        nat, rules = packetfilter.parse(data.decode())
    except packetfilter.RuleError as error:
        name = "stdin" if asked.file == "-" else asked.file
        words = f"{name}:{error.line}: {error.message}\npfctl: Syntax error in config file: pf rules not loaded"
        raise Refusal(words, 2) from error
    if "n" in asked.flags:
        return
    table = machine.state.table("anchors")
    old = table.get(asked.anchor, {"nat": [], "rules": []})
    only_nat, only_rules = "N" in asked.flags, "R" in asked.flags
    kept = {"nat": old["nat"] if only_rules else nat, "rules": old["rules"] if only_nat else rules}
    _store(machine, asked.anchor, kept)


def _store(machine: Machine, anchor: str, kept: dict[str, list[str]]) -> None:
    table = machine.state.table("anchors")
    # An anchor without rules is no anchor.
    if kept["nat"] or kept["rules"]:
        table[anchor] = kept
    else:
        table.pop(anchor, None)
    machine.state.touch("anchors", anchor)


def _flush(machine: Machine, asked: Asked, answer: Answer) -> None:
    table = machine.state.table("anchors")
    what = asked.flush
    anchors = _matching(machine, asked.anchor)
    for anchor in anchors:
        old = table.get(anchor, {"nat": [], "rules": []})
        nat = [] if what in ("nat", "all") else old["nat"]
        rules = [] if what in ("rules", "all") else old["rules"]
        _store(machine, anchor, {"nat": nat, "rules": rules})
    words = {"nat": ["nat cleared"], "rules": ["rules cleared"], "states": ["0 states cleared"]}
    everything = ["rules cleared", "nat cleared"]
    if not asked.anchor:
        everything += ["0 tables deleted.", "0 states cleared", "source tracking entries cleared",
                       "pf: statistics cleared", "pf: interface flags reset"]  # fmt: skip
    if "q" not in asked.flags:
        answer.err += [f"{line}\n" for line in (everything if what == "all" else words.get(what, []))]


def _matching(machine: Machine, pattern: str) -> list[str]:
    table = machine.state.table("anchors")
    if pattern.endswith("*"):
        return sorted(a for a in table if fnmatch.fnmatchcase(a, pattern) or a == pattern[:-1].rstrip("/"))
    return [pattern]


def _show(machine: Machine, asked: Asked, answer: Answer) -> None:
    what = asked.show.lower()
    if what in ("info", "i"):
        state = "Enabled" if fact(machine, "pf.enabled") else "Disabled"
        answer.say(f"Status: {state} for 0 days 00:00:00{'Debug: Urgent':>29}")
        return
    if what in ("anchors", "a"):
        _anchors(machine, asked, answer)
        return
    kind = "nat" if what in ("nat", "n") else "rules"
    if what not in ("nat", "n", "rules", "r"):
        return
    if asked.anchor.endswith("*"):
        _recursive(machine, asked.anchor[:-1].rstrip("/"), kind, answer)
        return
    for rule in _rules(machine, asked.anchor)[kind]:
        answer.say(rule)


def _rules(machine: Machine, anchor: str) -> dict[str, list[str]]:
    table = machine.state.table("anchors")
    own: dict[str, list[str]] = table.get(anchor, {"nat": [], "rules": []})
    if anchor or not fact(machine, "pf.anchors_called"):
        return own
    nat = [r for r in [*_MAIN[:2], *(f'{r.split()[0]} "reconciler/*" all' for r in _MAIN[:2])] if r not in own["nat"]]
    rules = [r for r in [_MAIN[2], 'anchor "reconciler/*" all'] if r not in own["rules"]]
    return {"nat": own["nat"] + nat, "rules": own["rules"] + rules}


def _recursive(machine: Machine, anchor: str, kind: str, answer: Answer, indent: str = "") -> None:
    """Print rules, and in braces what each call leads to: an anchor called twice is printed twice."""
    for rule in _rules(machine, anchor)[kind]:
        word, _, rest = rule.partition(" ")
        if not word.endswith("anchor"):
            answer.say(indent + rule)
            continue
        called = "/".join(filter(None, (anchor, rest.split('"')[1].removesuffix("/*"))))
        answer.say(f"{indent}{rule} {{")
        if '/*"' in rest:
            inner = "nat-anchor" if kind == "nat" else "anchor"
            below = [name for name in sorted(machine.state.table("anchors")) if name.rpartition("/")[0] == called]
            for name in below:
                answer.say(f'{indent}  {inner} "{name.rpartition("/")[2]}" all {{')
                _recursive(machine, name, kind, answer, f"{indent}    ")
                answer.say(f"{indent}  }}")
        else:
            _recursive(machine, called, kind, answer, f"{indent}  ")
        answer.say(f"{indent}}}")


def _anchors(machine: Machine, asked: Asked, answer: Answer) -> None:
    above = f"{asked.anchor.rstrip('*').rstrip('/')}/" if asked.anchor.rstrip("*") else ""
    table = machine.state.table("anchors")
    parents = {"/".join(anchor.split("/")[:depth]) for anchor in table for depth in range(1, anchor.count("/") + 1)}
    for anchor in sorted({*table, *parents}):
        inner = anchor[len(above) :]
        if anchor.startswith(above) and inner and ("v" in asked.flags or "/" not in inner):
            answer.say(f"  {anchor}")


COMMAND = Simulated(("pfctl",), main)
