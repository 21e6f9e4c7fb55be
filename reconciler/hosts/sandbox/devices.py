"""Rulesets of devfs(8), and which devices they leave to see in a jail's /dev."""

from __future__ import annotations

import fnmatch
import shlex
from typing import Any

from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.machine import Machine

# What a host's /dev holds. Those in REAL are the machine's own; the rest are empty places.
NAMES = (
    "acpi", "audit", "bpf", "bpf0", "console", "consolectl", "crypto", "ctty", "devctl", "fd", "fido", "full",
    "fuse", "geom.ctl", "io", "klog", "kmem", "mem", "null", "pci", "pf", "ptmx", "pts", "random", "stderr",
    "stdin", "stdout", "sysmouse", "ttyv0", "tun", "urandom", "usbctl", "vtbd0", "xpt0", "zero", "zfs",
)  # fmt: skip
REAL = ("full", "null", "random", "urandom", "zero")
_LOGIN = [f"{kind}{letter}*" for kind in ("pty", "tty") for letter in "pqrsPQRSlmnoLMNO"]
FIRST: dict[int, list[str]] = {
    1: ["hide"],
    2: [f"path {name} unhide" for name in ("null", "zero", "crypto", "random", "urandom")],
    3: [f"path {name} unhide" for name in (*_LOGIN, "ptmx", "pts", "pts/*", "fd", "fd/*", "stdin", "stdout",
                                           "stderr")],
    4: ["include 1", "include 2", "include 3", "path fuse unhide", "path zfs unhide"],
    5: ["include 1", "include 2", "include 3", "include 4", "path pf unhide"],
}  # fmt: skip
_TAKES = {"path": 1, "type": 1, "include": 1, "group": 1, "user": 1, "mode": 1, "hide": 0, "unhide": 0}
_KEY = "devfs:"


def rulesets(machine: Machine) -> dict[int, dict[int, str]]:
    """Every ruleset that has rules, by number: rule text by rule number."""
    found: dict[int, dict[int, str]] = {}
    table = machine.state.table("rules")
    for number, rules in FIRST.items():
        if f"{_KEY}{number}" not in table:
            found[number] = {100 * (place + 1): rule for place, rule in enumerate(rules)}
    for key, value in table.items():
        if key.startswith(_KEY):
            found[int(key[len(_KEY) :])] = {int(n): text for n, text in value.items()}
    return dict(sorted(found.items()))


def add(machine: Machine, ruleset: int, words: list[str]) -> None:
    """Append a rule: `[NUMBER] [path P] [include N] [hide|unhide] [mode M] …`."""
    rules = dict(rulesets(machine).get(ruleset, {}))
    number = int(words.pop(0)) if words and words[0].isdigit() else 0
    text = " ".join(_checked(words))
    number = number or 100 * (max(rules, default=0) // 100 + 1)
    if number in rules:
        raise Refusal("rule: ioctl DEVFSIO_RADD: File exists")
    rules[number] = text
    save(machine, ruleset, dict(sorted(rules.items())))


def _checked(words: list[str]) -> list[str]:
    if not words:
        raise Refusal("rule: usage: devfs rule [-s ruleset] add [rulenum] rulespec")
    place = 0
    while place < len(words):
        taken = _TAKES.get(words[place])
        if taken is None:
            raise Refusal(f"rule: unknown argument: {words[place]}")
        if place + taken >= len(words):
            raise Refusal(f"rule: expecting argument for {words[place]}")
        place += 1 + taken
    return words


def change(machine: Machine, mountpoint: str, words: list[str]) -> None:
    """Apply one rule to a mounted /dev, as `devfs -m MOUNTPOINT rule apply` does; no ruleset takes it up."""
    words = _checked(words)
    key = machine.mounts.at(mountpoint)
    if key is None or machine.mounts.table[key]["fstype"] != "devfs":
        raise Refusal("rule: ioctl DEVFSIO_RAPPLY: Inappropriate ioctl for device")
    folder = machine.resolve(mountpoint)
    seen = {name: (folder / name).exists() for name in NAMES}
    _one(rulesets(machine), " ".join(map(shlex.quote, words)), seen, set())
    for name, shown in seen.items():
        if shown:
            (folder / name).touch()
        elif not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)


def save(machine: Machine, ruleset: int, rules: dict[int, str]) -> None:
    """Write a ruleset whole."""
    value: Any = {str(number): text for number, text in rules.items()}
    machine.state.table("rules")[f"{_KEY}{ruleset}"] = value
    machine.state.touch("rules", f"{_KEY}{ruleset}")


def delete(machine: Machine, ruleset: int, rule: int | None = None) -> None:
    """Drop one rule, or the ruleset."""
    rules = dict(rulesets(machine).get(ruleset, {}))
    if rule is None:
        # The five first rulesets come back with the next boot; until then they are empty.
        if ruleset in FIRST:
            save(machine, ruleset, {})
        elif f"{_KEY}{ruleset}" in machine.state.table("rules"):
            del machine.state.table("rules")[f"{_KEY}{ruleset}"]
            machine.state.touch("rules", f"{_KEY}{ruleset}")
        return
    if rule not in rules:
        raise Refusal("rule: ioctl DEVFSIO_RDEL: No such process")
    del rules[rule]
    save(machine, ruleset, rules)


def visible(machine: Machine, ruleset: int) -> list[str]:
    """The devices that a /dev mounted with this ruleset shows: all, when it has no rules."""
    seen = dict.fromkeys(NAMES, True)
    _apply(rulesets(machine), ruleset, seen, set())
    return [name for name, shown in seen.items() if shown]


def _apply(sets: dict[int, dict[int, str]], ruleset: int, seen: dict[str, bool], busy: set[int]) -> None:
    if ruleset in busy:
        return
    for text in sets.get(ruleset, {}).values():
        _one(sets, text, seen, busy | {ruleset})


def _one(sets: dict[int, dict[int, str]], text: str, seen: dict[str, bool], busy: set[int]) -> None:
    words = shlex.split(text)
    told = dict(zip(words, [*words[1:], ""], strict=True))
    if "include" in told:
        _apply(sets, int(told["include"]), seen, busy)
    if {"hide", "unhide"} & set(words):
        seen.update({n: "unhide" in words for n in seen if fnmatch.fnmatchcase(n, told.get("path", "*"))})
