"""Which datasets and snapshots a listing is about: operands, -r, -d and -t."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.commands.zfs.names import by_path, existing, wrong
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine

_TYPES = {
    "all": {"filesystem", "snapshot"}, "filesystem": {"filesystem"}, "fs": {"filesystem"},
    "snapshot": {"snapshot"}, "snap": {"snapshot"}, "volume": set(), "vol": set(), "bookmark": set(),
}  # fmt: skip


def types(given: dict[str, list[str]], verb: str) -> set[str] | None:
    """The types asked for with -t, None when it was not given."""
    if "t" not in given:
        return None
    chosen: set[str] = set()
    for text in ",".join(given["t"]).split(","):
        if text not in _TYPES:
            raise Refusal(f"invalid type '{text}'\n{usage(verb)}", 2)
        chosen |= _TYPES[text]
    return chosen


def depth(given: dict[str, list[str]], verb: str) -> int | None:
    """How far below the operands to go; None is without end, 0 not at all."""
    if "d" in given:
        text = given["d"][-1]
        if not text.isdigit():
            raise Refusal(f"({text}) is not an integer\n{usage(verb)}", 2)
        return int(text)
    return None if "r" in given else 0


def selected(
    machine: Machine, operands: Sequence[str], chosen: set[str] | None, levels: int | None
) -> tuple[list[str], list[str]]:
    """Names in the order of `zfs list`, and complaints about operands that do not exist."""
    pool, problems = machine.pool, []
    if not operands:
        operands, levels = sorted(n for n in pool.datasets if "/" not in n), levels or None
    names: list[str] = []
    kinds = chosen if chosen is not None else {"filesystem"}
    for operand in operands:
        try:
            name = by_path(machine, operand) if operand.startswith(("/", "./")) else operand
            if "@" in name and chosen is not None and "snapshot" not in chosen and not wrong(name, snapshot=True):
                raise Refusal(f"cannot open '{name}': snapshot delimiter '@' is not expected here")
            existing(machine, name)
        except Refusal as refusal:
            problems.append(refusal.message)
            continue
        names += [name] if "@" in name else _below(machine, name, kinds, levels)
    return (names if len(operands) == 1 else _ordered(machine, names)), problems


def _ordered(machine: Machine, names: list[str]) -> list[str]:
    def key(name: str) -> tuple[str, int]:
        owner, _, short = name.partition("@")
        return owner, machine.pool.datasets[owner]["snaps"].index(short) if short else -1

    return sorted(dict.fromkeys(names), key=key)


def _below(machine: Machine, root: str, kinds: set[str], levels: int | None) -> Iterator[str]:
    pool = machine.pool
    top = root.count("/")
    for name in pool.below(root) if levels != 0 else [root]:
        away = name.count("/") - top
        if levels is not None and away > levels:
            continue
        if "filesystem" in kinds:
            yield name
        if "snapshot" in kinds and (levels is None or away < levels):
            yield from [f"{name}@{short}" for short in pool.datasets[name]["snaps"]]
