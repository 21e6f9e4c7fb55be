"""zfs get and version."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs import selection
from reconciler.hosts.sandbox.commands.zfs.listing import as_json, shown
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.properties import COLUMNS, FILESYSTEM_ORDER, SNAPSHOT_ORDER, known
from reconciler.hosts.sandbox.values import Values

_FIELDS = ("name", "property", "value", "received", "source")
_SOURCES = ("local", "default", "inherited", "received", "temporary", "none")
_VERSION = "2.4.2-1-FreeBSD_g6330a45b0"


def get(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs get [-Hpr] [-j [--json-int]] [-d depth] [-o fields] [-s sources] [-t types] properties [name...]."""
    plain = [arg for arg in argv if arg != "--json-int"]
    given, operands = options(plain, "Hjd:o:prs:t:", usage("get"))
    if not operands:
        raise Refusal(f"missing property argument\n{usage('get')}", 2)
    fields = _fields(given)
    sources = _sources(given)
    asked = [COLUMNS.get(name, name) for name in operands[0].split(",")]
    for name in asked:
        if name != "all" and not known(name):
            raise Refusal(f"bad property list: invalid property '{name}'\n{usage('get')}", 2)
    chosen = selection.types(given, "get")
    levels = selection.depth(given, "get")
    everything = (
        chosen
        if chosen is not None
        else {"filesystem", "snapshot"}
        if levels != 0 or len(operands) == 1
        else {"filesystem"}
    )
    if chosen is None and "@" in "".join(operands[1:]):
        everything = {"filesystem", "snapshot"}
    names, problems = selection.selected(machine, operands[1:], everything, levels)
    for problem in problems:
        answer.warn(problem)
    values = Values(machine)
    wanted = {name: _properties(values, name, asked) for name in names}
    if "j" in given:
        answer.say(as_json("zfs get", values, wanted, as_int=len(plain) < len(argv), raw="p" in given))
        return
    rows = [row for name in names for prop in wanted[name] if (row := _row(values, name, prop, sources, "p" in given))]
    _print(answer, rows, fields, plain="H" in given)


def _fields(given: dict[str, list[str]]) -> list[str]:
    text = ",".join(given.get("o", ["name,property,value,source"]))
    fields = list(_FIELDS) if text == "all" else text.split(",")
    for field in fields:
        if field not in _FIELDS:
            raise Refusal(f"invalid column name '{field}'\n{usage('get')}", 2)
    return fields


def _sources(given: dict[str, list[str]]) -> frozenset[str]:
    chosen = ",".join(given.get("s", _SOURCES)).split(",")
    for source in chosen:
        if source not in _SOURCES:
            raise Refusal(f"invalid source '{source}'\n{usage('get')}", 2)
    return frozenset(chosen)


def _properties(values: Values, name: str, asked: list[str]) -> list[str]:
    if "all" not in asked:
        return asked
    record = values.pool.get(name)
    assert record is not None
    props = list(SNAPSHOT_ORDER if "@" in name else FILESYSTEM_ORDER)
    if not record.get("origin"):
        props = [prop for prop in props if prop != "origin"]
    if not record.get("changed"):
        props = [prop for prop in props if prop != "snapshots_changed"]
    return props + list(values.pool.user_properties(name))


def _row(values: Values, name: str, prop: str, sources: frozenset[str], raw: bool) -> dict[str, str] | None:
    value, source = values.get(name, prop)
    if (source.split()[0] if source != "-" else "none") not in sources:
        return None
    record = values.pool.get(name)
    received = record["received"].get(prop, "-") if record else "-"
    text = value if raw else shown(prop, value)
    return {"name": name, "property": prop, "value": text, "received": received, "source": source}


def _print(answer: Answer, rows: list[dict[str, str]], fields: list[str], *, plain: bool) -> None:
    if plain:
        answer.out.extend(["\t".join([row[field] for field in fields]) + "\n" for row in rows])
        return
    if not rows:
        return
    rows = [{field: field.upper() for field in _FIELDS}, *rows]
    widths = {field: max(len(row[field]) for row in rows) for field in fields}
    for row in rows:
        answer.say("  ".join(row[f].ljust(widths[f]) if f != fields[-1] else row[f] for f in fields))


def version(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs version [-j]."""
    if list(argv) == ["-j"]:
        answer.say(
            '{"output_version":{"command":"zfs version","vers_major":0,"vers_minor":1},'
            f'"zfs_version":{{"userland":"zfs-{_VERSION}","kernel":"zfs-kmod-{_VERSION}"}}}}'
        )
        return
    answer.say(f"zfs-{_VERSION}\nzfs-kmod-{_VERSION}")
