"""zpool(8): one healthy pool. Its disk is the folder that the machine lives in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.getting import version
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.properties import nice
from reconciler.hosts.sandbox.values import Values
from reconciler.model.command import Command, Completed

# Name, value and source of each property, in the order of `zpool get all`; % marks what is computed.
_TABLE = [
    line.split("\t")
    for line in resources.files("reconciler.hosts.sandbox").joinpath("zpool.txt").read_text().splitlines()
]
_COLUMNS = {"alloc": "allocated", "cap": "capacity", "frag": "fragmentation", "ckpoint": "checkpoint",
            "expandsz": "expandsize", "dedup": "dedupratio"}  # fmt: skip
_HEADS = {long: short.upper() for short, long in _COLUMNS.items()}
_DEFAULT = "name,size,allocated,free,checkpoint,expandsize,fragmentation,capacity,dedupratio,health,altroot"
_SIZES = frozenset({"size", "allocated", "free"})
_PERCENT = frozenset({"capacity", "fragmentation"})
_USAGE = (
    "usage: zpool command args ...\nwhere 'command' is one of the following:\n\n"
    "\tversion [-j]\n\n\tlist\n\n\tget\n\n\tstatus"
)


def _values(machine: Machine) -> dict[str, tuple[str, str]]:
    facts = machine.pool.facts
    size = int(facts["size"])
    free = Values(machine).free()
    computed = {"size": size, "free": free, "allocated": size - free, "capacity": 100 * (size - free) // size,
                "guid": facts["guid"], "load_guid": facts["guid"]}  # fmt: skip
    return {name: (str(computed.get(name, value)), source) for name, value, source in _TABLE}


def _shown(name: str, value: str, *, raw: bool) -> str:
    if raw or not value.replace(".", "").isdigit():
        return value
    if name in _SIZES:
        return nice(int(value))
    return value + ("%" if name in _PERCENT else "x" if name == "dedupratio" else "")


def _check(machine: Machine, names: Sequence[str]) -> None:
    for name in names:
        if name != machine.pool.facts["name"]:
            raise Refusal(f"cannot open '{name}': no such pool")


def _list(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "HLPpvjgo:T:", _USAGE)
    _check(machine, operands)
    columns = [_COLUMNS.get(name, name) for name in ",".join(given.get("o", [_DEFAULT])).split(",")]
    values = {"name": (str(machine.pool.facts["name"]), "-"), **_values(machine)}
    for column in columns:
        if column not in values:
            raise Refusal(f"bad property list: invalid property '{column}'\n{_USAGE}", 2)
    raw = "p" in given
    cells = [_shown(column, values[column][0], raw=raw) for column in columns]
    if "j" in given:
        props = {
            column: {
                "value": cell,
                "source": {"type": "DEFAULT" if values[column][1] == "default" else "NONE", "data": "-"},
            }
            for column, cell in zip(columns, cells, strict=True)
            if column != "name"
        }
        answer.say(_json("zpool list", {**_head(machine, "POOL"), "properties": props}))
    elif "H" in given:
        answer.say("\t".join(cells))
    else:
        heads = [_HEADS.get(column, column.upper()) for column in columns]
        left = {"name", "altroot"}
        for row in (heads, cells):
            widths = [max(len(a), len(b)) for a, b in zip(heads, cells, strict=True)]
            texts = [
                text.ljust(width) if column in left else text.rjust(width)
                for column, text, width in zip(columns, row, widths, strict=True)
            ]
            answer.say("  ".join(texts).rstrip())


def _head(machine: Machine, kind: str = "") -> dict[str, object]:
    facts = machine.pool.facts
    named: dict[str, object] = {"name": facts["name"], **({"type": kind} if kind else {})}
    guid = str(facts["guid"])
    return {
        **named,
        "state": "ONLINE",
        "pool_guid": guid,
        "txg": str(facts["txg"]),
        "spa_version": "5000",
        "zpl_version": "5",
    }


def _json(title: str, pool: dict[str, object]) -> str:
    top = {
        "output_version": {"command": title, "vers_major": 0, "vers_minor": 1},
        "pools": {pool["name"]: pool},
    }
    return json.dumps(top, separators=(",", ":"))


def _get(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "Hpo:j", _USAGE)
    if not operands:
        raise Refusal(f"missing property argument\n{_USAGE}", 2)
    _check(machine, operands[1:])
    values = _values(machine)
    asked = list(values) if operands[0] == "all" else [_COLUMNS.get(n, n) for n in operands[0].split(",")]
    fields = ",".join(given.get("o", ["name,property,value,source"])).split(",")
    rows = []
    for name in asked:
        if name not in values:
            raise Refusal(f"bad property list: invalid property '{name}'\n{_USAGE}", 2)
        value, source = values[name]
        shown = _shown(name, value, raw="p" in given)
        rows.append({"name": str(machine.pool.facts["name"]), "property": name, "value": shown, "source": source})
    if "H" in given:
        for row in rows:
            answer.say("\t".join(row[field] for field in fields))
        return
    rows.insert(0, {field: field.upper() for field in ("name", "property", "value", "source")})
    widths = {field: max(len(row[field]) for row in rows) for field in fields}
    for row in rows:
        answer.say("  ".join(row[field].ljust(widths[field]) for field in fields).rstrip())


def _status(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "cDegiLPpstvxj", _USAGE)
    _check(machine, operands)
    name = str(machine.pool.facts["name"])
    if "j" in given:
        answer.say(_json("zpool status", {**_head(machine), **_vdevs(machine), "error_count": "0"}))
    elif "x" in given:
        answer.say("all pools are healthy" if not operands else f"pool '{name}' is healthy")
    else:
        width = max(len(name), len("  vtbd1"), 10)
        rows = "".join(f"\t{n:<{width}}  ONLINE       0     0     0\n" for n in (name, "  vtbd1"))
        answer.say(
            f"  pool: {name}\n state: ONLINE\nconfig:\n\n\t{'NAME':<{width}}  STATE     READ WRITE CKSUM\n"
            f"{rows}\nerrors: No known data errors"
        )


def _vdevs(machine: Machine) -> dict[str, object]:
    values, name = _values(machine), str(machine.pool.facts["name"])
    size, used = nice(int(values["size"][0])), nice(int(values["allocated"][0]))
    space = {
        "class": "normal",
        "state": "ONLINE",
        "alloc_space": used,
        "total_space": size,
        "def_space": size,
    }
    errors = {"read_errors": "0", "write_errors": "0", "checksum_errors": "0"}
    guid = int(values["guid"][0])
    disk = {"name": "vtbd1", "vdev_type": "disk", "guid": str(guid ^ 1), "path": "/dev/vtbd1", **space,
            "rep_dev_size": size, "phys_space": size, **errors, "slow_ios": "0"}  # fmt: skip
    root = {"name": name, "vdev_type": "root", "guid": str(guid), **space, **errors, "vdevs": {"vtbd1": disk}}
    return {"vdevs": {name: root}}


def _create(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    raise Refusal("cannot create pool: the sandbox has one pool, made with the machine")


_VERBS: dict[str, Callable[[Machine, Answer, Sequence[str]], None]] = {
    "list": _list, "get": _get, "status": _status, "version": version, "create": _create,
    "sync": lambda _machine, _answer, _argv: None,
}  # fmt: skip


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    try:
        verb = command.argv[1] if len(command.argv) > 1 else ""
        if verb not in _VERBS:
            raise Refusal(f"unrecognized command '{verb}'\n{_USAGE}" if verb else f"missing command\n{_USAGE}", 2)
        _VERBS[verb](machine, answer, command.argv[2:])
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    return answer.completed(command)


COMMAND = Simulated(("zpool",), _main)
