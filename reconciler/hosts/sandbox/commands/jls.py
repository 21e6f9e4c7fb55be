"""jls(8): the jails that run, as a table, as parameters, or as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any

from reconciler.hosts.sandbox import jailparams, jailtable, xo
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.facts import loaded
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

USAGE = "jls: usage: jls [-dhNnqv] [-j jail] [param ...]\n            jls -c [-d] -j jail"


@dataclass(slots=True)
class Asked:
    """What the command line asked for."""

    flags: set[str]
    jail: str | None
    names: list[str]
    libxo: str | None


def main(machine: Machine, command: Command) -> Completed:
    """Answer jls on the host."""
    return listing(machine, command, below=0)


def listing(machine: Machine, command: Command, *, below: int) -> Completed:
    """Answer jls as seen from the jail of number `below` (0 is the host)."""
    answer = Answer()
    try:
        asked = _arguments(list(command.argv[1:]))
        _print(machine, asked, answer, below)
    except Refusal as refusal:
        answer.warn(f"jls: {refusal.message}", refusal.status)
    return answer.completed(command)


def _arguments(words: list[str]) -> Asked:
    asked = Asked(set(), None, [], None)
    if words and words[0].startswith("--libxo"):
        asked.libxo, words = _libxo(words)
    while words and words[0].startswith("-") and words[0] != "-":
        letters = words.pop(0)[1:]
        if letters.startswith("-libxo"):
            asked.libxo, words = _libxo(["-" + letters, *words])
            continue
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "j":
                asked.jail, letters = letters or (words.pop(0) if words else ""), ""
            elif letter in "cdhNnqsv":
                asked.flags.add(letter)
            else:
                raise Refusal(f"illegal option -- {letter}\n{USAGE}")
    asked.names = words
    if "c" in asked.flags and (words or asked.jail is None):
        problem = "-c does not accept non-option arguments" if words else "-j jail to check must be provided for -c"
        raise Refusal(f"{problem}\n{USAGE}")
    return asked


def _libxo(words: list[str]) -> tuple[str, list[str]]:
    if "=" in words[0]:
        return words[0].partition("=")[2], words[1:]
    if len(words) > 1:
        return words[1], words[2:]
    return words[0].removeprefix("--libxo:"), words[1:]


def _print(machine: Machine, asked: Asked, answer: Answer, below: int) -> None:
    flags = asked.flags
    names = _columns(machine, asked)
    records = jailtable.all_jails(machine, below)
    problem = None
    if asked.jail is not None:
        found = jailtable.find(machine, asked.jail, below)
        records = [found] if found else []
        problem = None if found else jailtable.missing(asked.jail)
    if "c" in flags:
        answer.status = int(not records)
        return
    if asked.libxo and "json" in asked.libxo:
        tree = [_json(r, names, flags) for r in records] if not problem else []
        whole = {"jail-information": {"jail": tree}}
        answer.out.append(xo.document(whole, pretty="pretty" in asked.libxo))
    elif asked.libxo and "xml" in asked.libxo:
        answer.out.append(_xml([_json(r, names, flags) for r in records]))
    elif names is not None:
        if "h" in flags and records:
            answer.say(" ".join(names))
        for record in records:
            answer.say(_line(record, names, flags))
    else:
        _table(records, flags, answer)
    if problem:
        raise Refusal(problem)


def _columns(machine: Machine, asked: Asked) -> list[str] | None:
    if not asked.names and not asked.flags & set("nsh"):
        return None
    shown = [n for n in jailparams.ORDER if loaded(machine, jailparams.MODULE_PARAMS.get(n, ""))]
    if not asked.names or asked.names == ["all"]:
        return [n for n in shown if not ("s" in asked.flags and n in jailparams.READ_ONLY)]
    names = []
    for name in asked.names:
        own = jailparams.positive(name)[0]
        if own not in jailparams.KINDS and not own.startswith(("meta.", "env.")):
            raise Refusal(f"unknown parameter: {name}")
        names.append(own)
    return names


def _line(record: dict[str, Any], names: list[str], flags: set[str]) -> str:
    values = record["values"]
    parts = []
    for name in names:
        if "s" in flags and name.startswith(("ip4.", "ip6.")) and values[name[:3]] != "new":
            continue
        value = jailparams.lookup(values, name)
        if isinstance(value, bool):
            parts.append(_boolean(name, value, named=bool(flags & set("ns"))))
        elif flags & set("ns"):
            parts.append(f"{name}={_text(value, flags, empty_list='')}")
        else:
            parts.append(_text(value, flags, empty_list="-"))
    return " ".join(parts)


def _boolean(name: str, value: bool, *, named: bool) -> str:
    if not named:
        return "true" if value else "false"
    head, dot, tail = name.rpartition(".")
    return name if value else f"{head}{dot}no{tail}"


def _text(value: Any, flags: set[str], *, empty_list: str) -> str:
    if isinstance(value, list):
        if not value:
            return '""' if flags >= {"q", "n"} else empty_list
        return ",".join(value)
    if value == "":
        return '""'
    if flags & set("qs") and re.search(r"[\s\"'\\$#;]", value):
        return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"' if '"' not in value else f"'{value}'"
    return str(value)


def _json(record: dict[str, Any], names: list[str] | None, flags: set[str]) -> dict[str, Any]:
    values = record["values"]
    if names is None and "v" in flags:
        return {
            "jid": record["jid"], "hostname": values["host.hostname"], "path": values["path"],
            "name": record["name"], "state": "ACTIVE", "cpusetid": int(values["cpuset.id"]),
            "ipv4_addrs": values["ip4.addr"], "ipv6_addrs": values["ip6.addr"],
        }  # fmt: skip
    if names is None:
        first = (values["ip4.addr"] or [""])[0]
        jid: dict[str, Any] = {"name": record["name"]} if "N" in flags else {"jid": record["jid"]}
        return {**jid, "ipv4": first, "hostname": values["host.hostname"], "path": values["path"]}
    tree: dict[str, Any] = {}
    for name in names:
        value = jailparams.lookup(values, name)
        if isinstance(value, bool) and not flags & set("ns"):
            value = "true" if value else "false"
        tree[name] = value
    return tree


def _xml(tree: list[dict[str, Any]]) -> str:
    jails = ""
    for jail in tree:
        fields = [(k, v) for k, values in jail.items() for v in (values if isinstance(values, list) else [values])]
        jails += "<jail>" + "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in fields) + "</jail>"
    return f'<jail-information version="2">{jails}</jail-information>'


def _table(records: list[dict[str, Any]], flags: set[str], answer: Answer) -> None:
    if "v" in flags:
        answer.say("   JID  Hostname                      Path")
        answer.say("        Name                          State\n        CPUSetID\n        IP Address(es)")
    elif "N" in flags:
        answer.say(" JID             IP Address      Hostname                      Path")
    else:
        answer.say("   JID  IP Address      Hostname                      Path")
    for record in records:
        values = record["values"]
        host, path = values["host.hostname"][:29], values["path"][:74]
        if "v" in flags:
            answer.say(f"{record['jid']:6d}  {host:<29} {path}")
            answer.say(f"        {record['name'][:29]:<29} ACTIVE\n        {values['cpuset.id']}")
            for address in values["ip4.addr"] + values["ip6.addr"]:
                answer.say(f"        {address}")
            continue
        first = (values["ip4.addr"] or [""])[0]
        who = f" {record['name'][:15]:<15} " if "N" in flags else f"{record['jid']:6d}  "
        answer.say(f"{who}{first:<15} {host:<29} {path}")


COMMAND = Simulated(("jls",), main)
