"""zfs list."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs import selection
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.properties import COLUMNS, HEADINGS, NATIVE, RIGHT, human, is_user
from reconciler.hosts.sandbox.values import Values, date

_DEFAULT = "name,used,available,referenced,mountpoint"
_SPACE = "name,available,used,usedbysnapshots,usedbydataset,usedbyrefreservation,usedbychildren"


def list_datasets(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs list [-Hpr] [-j [--json-int]] [-d depth] [-t types] [-o columns] [-s|-S column] [name...]."""
    plain = [arg for arg in argv if arg != "--json-int"]
    given, operands = options(plain, "HjS:d:o:prs:t:", usage("list"))
    columns = _columns(",".join(given.get("o", [_DEFAULT])))
    chosen = selection.types(given, "list")
    levels = selection.depth(given, "list")
    if chosen == {"snapshot"} and operands and levels == 0:
        levels = 1
    names, problems = selection.selected(machine, operands, chosen, levels)
    for problem in problems:
        answer.warn(problem)
    values = Values(machine)
    names = _sorted(values, names, argv)
    if "j" in given:
        answer.say(
            as_json(
                "zfs list",
                values,
                dict.fromkeys(names, columns),
                as_int=len(plain) < len(argv),
                raw="p" in given,
            )
        )
        return
    if not names and not problems and "H" not in given:
        answer.err.append("no datasets available\n")
    getters = [getter(values, column, raw="p" in given) for column in columns]
    if "H" in given:
        answer.out.extend(["\t".join([get(name) for get in getters]) + "\n" for name in names])
    elif names:
        _table(answer, columns, [[get(name) for get in getters] for name in names])


def _columns(text: str) -> list[str]:
    columns = [COLUMNS.get(name, name) for name in (_SPACE if text == "space" else text).split(",")]
    for name in columns:
        if name != "name" and name not in NATIVE and not is_user(name):
            raise Refusal(f"bad property list: invalid property '{name}'\n{usage('list')}", 2)
    return columns


def _sorted(values: Values, names: list[str], argv: Sequence[str]) -> list[str]:
    """Sort by each -s and -S, the first given weighing most; equal ones stay in the usual order."""
    wanted: list[tuple[str, bool]] = []
    for place, arg in enumerate(argv):
        if arg in ("-s", "-S") and place + 1 < len(argv):
            wanted.append((COLUMNS.get(argv[place + 1], argv[place + 1]), arg == "-S"))
    for column, reverse in reversed(wanted):
        if column != "name" and column not in NATIVE and not is_user(column):
            raise Refusal(f"invalid property '{column}'\n{usage('list')}", 2)

        def key(name: str, column: str = column) -> tuple[int, int, str]:
            value = name if column == "name" else values.get(name, column)[0]
            return (0, int(value), "") if value.isdigit() else (1, 0, value)

        names = sorted(names, key=key, reverse=reverse)
    return names


def getter(values: Values, column: str, *, raw: bool) -> Callable[[str], str]:
    """A function from a name to what stands in a column."""
    if column == "name":
        return lambda name: name
    if raw:
        return lambda name: values.get(name, column)[0]
    return lambda name: shown(column, values.get(name, column)[0])


def shown(column: str, value: str) -> str:
    """A value for a person."""
    if column in ("creation", "snapshots_changed") and value.isdigit():
        return date(value)
    return human(column, value)


def _table(answer: Answer, columns: list[str], rows: list[list[str]]) -> None:
    heads = [HEADINGS.get(column, column.upper()) for column in columns]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(columns))]
    for row in [heads, *rows]:
        cells = [
            cell.rjust(widths[i]) if columns[i] in RIGHT else cell.ljust(widths[i]) if i < len(row) - 1 else cell
            for i, cell in enumerate(row)
        ]
        answer.say("  ".join(cells))


def as_json(title: str, values: Values, wanted: dict[str, list[str]], *, as_int: bool, raw: bool) -> str:
    """The -j output of list and get."""
    datasets = {}
    for name, props in wanted.items():
        record = values.pool.get(name)
        assert record is not None
        head: dict[str, object] = {
            "name": name,
            "type": values.get(name, "type")[0].upper(),
            "pool": name.split("/")[0].split("@")[0],
        }
        head["createtxg"] = record["txg"] if as_int else str(record["txg"])
        if "@" in name:
            head["dataset"], head["snapshot_name"] = name.split("@")
        head["properties"] = {p: _json_value(values, name, p, as_int, raw) for p in props if p != "name"}
        datasets[name] = head
    version = {"command": title, "vers_major": 0, "vers_minor": 1}
    return json.dumps({"output_version": version, "datasets": datasets}, separators=(",", ":"), ensure_ascii=False)


def _json_value(values: Values, name: str, prop: str, as_int: bool, raw: bool) -> dict[str, object]:
    value, source = values.get(name, prop)
    kind, data = source.upper(), "-"
    if source == "-":
        kind = "NONE"
    elif source.startswith("inherited from "):
        kind, data = "INHERITED", source.removeprefix("inherited from ")
    text: object = value if raw or as_int else shown(prop, value)
    if as_int and value.isdigit():
        text = int(value)
    return {"value": text, "source": {"type": kind, "data": data}}
