"""The jails that exist: found by name or number, created, changed and removed as jail_set(2) would.

Each record is `{"jid", "name", "path", "values", "init"}`; `values` holds every kernel
parameter, `init` the pid and start time of the process that keeps the jail's namespaces.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from reconciler.hosts.sandbox import jailparams
from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.facts import fact, load, set_fact
from reconciler.hosts.sandbox.machine import Machine

Record = dict[str, Any]


def all_jails(machine: Machine, below: int = 0) -> list[Record]:
    """Every jail below `below` (0 is the host), in the order of jail numbers."""
    table = machine.state.table("jails")
    if not below:
        return sorted(table.values(), key=lambda r: int(r["jid"]))
    inside, grown = {below}, True
    while grown:
        more = {r["jid"] for r in table.values() if int(r["values"]["parent"]) in inside} - inside
        inside |= more
        grown = bool(more)
    return [r for r in all_jails(machine) if r["jid"] in inside - {below}]


def find(machine: Machine, who: str, below: int = 0) -> Record | None:
    """The jail of this number or name; names below a jail are relative to it."""
    if who.isdigit():
        found = [r for r in all_jails(machine, below) if r["jid"] == int(who)]
        if found:
            return found[0]
    prefix = f"{find_number(machine, below)['name']}." if below else ""
    return next((r for r in all_jails(machine, below) if r["name"] == prefix + who), None)


def find_number(machine: Machine, jid: int) -> Record:
    """The jail of this number, which must exist."""
    record: Record = machine.state.table("jails")[str(jid)]
    return record


def missing(who: str) -> str:
    """How the tools say that there is no such jail."""
    return f"jail {who} not found" if who.isdigit() else f'jail "{who}" not found'


def create(machine: Machine, wanted: dict[str, Any], *, below: int = 0) -> Record:
    """jail_set(JAIL_CREATE): `wanted` holds parsed parameters; raises Refusal in the kernel's words."""
    table = machine.state.table("jails")
    if "jid" in wanted and wanted["jid"] != "0" and wanted["jid"] in table:
        raise Refusal(f'"{wanted["jid"]}" already exists')
    if str(wanted.get("name", "")).isdigit():
        wanted = {"jid": wanted["name"], **wanted}
    name = _full_name(machine, str(wanted.get("name", "")), below)
    clash = next((r for r in table.values() if name and r["name"] == name), None)
    if clash is not None:
        raise Refusal(f'"{clash["jid"]}" already exists')
    parent = below or _parent_of(machine, name)
    _check_room(machine, parent)
    values = jailparams.first_values(str(fact(machine, "kern.osrelease")))
    for own, value in wanted.items():
        load(machine, jailparams.MODULE_PARAMS.get(own, ""))
        jailparams.assign(values, own, value)
    if values["vnet"] == "new":
        if values["ip4.addr"] or values["ip6.addr"]:
            raise Refusal("vnet jails cannot have IP address restrictions")
        values["ip4"] = values["ip6"] = "inherit"
    values["path"] = _checked_path(machine, str(values["path"]), parent)
    _check_addresses(machine, values, None)
    jid = int(wanted.get("jid", "0")) or _next_jid(machine)
    values.update({"jid": str(jid), "name": name or str(jid), "parent": str(parent)})
    values["cpuset.id"] = str(_next_number(machine, "jail.cpuset", 3))
    record: Record = {"jid": jid, "name": values["name"], "path": values["path"], "values": values, "init": None}
    table[str(jid)] = record
    machine.state.touch("jails", str(jid))
    _count_children(machine, parent, 1)
    return record


def modify(machine: Machine, record: Record, wanted: dict[str, Any]) -> None:
    """jail_set(JAIL_UPDATE); raises Refusal, and changes nothing then."""
    values = dict(record["values"])
    for own, value in wanted.items():
        if own in jailparams.FIXED and value != values[own]:
            raise Refusal(f"{own} cannot be changed after creation")
        if own == "jid":
            continue
        jailparams.assign(values, own, value)
    if values["vnet"] == "new" and (values["ip4.addr"] or values["ip6.addr"]):
        raise Refusal("vnet jails cannot have IP address restrictions")
    _check_addresses(machine, values, record["jid"])
    if values["name"] != record["name"]:
        clash = find(machine, values["name"])
        if clash is not None and clash["jid"] != record["jid"]:
            raise Refusal(f'"{clash["jid"]}" already exists')
    record["values"], record["name"] = values, values["name"]
    machine.state.touch("jails", str(record["jid"]))


def forget(machine: Machine, record: Record) -> None:
    """Take the jail out of the table (its processes must be gone)."""
    machine.state.table("jails").pop(str(record["jid"]), None)
    machine.state.touch("jails", str(record["jid"]))
    _count_children(machine, int(record["values"]["parent"]), -1)


def _full_name(machine: Machine, name: str, below: int) -> str:
    return f"{find_number(machine, below)['name']}.{name}" if below and name else name


def _parent_of(machine: Machine, name: str) -> int:
    above = name.rpartition(".")[0]
    if not above:
        return 0
    parent = next((r for r in all_jails(machine) if r["name"] == above), None)
    if parent is None:
        raise Refusal(f'jail "{above}" not found')
    return int(parent["jid"])


def _check_room(machine: Machine, parent: int) -> None:
    if parent:
        values = find_number(machine, parent)["values"]
        if int(values["children.cur"]) >= int(values["children.max"]):
            raise Refusal("jail_set: Operation not permitted")


def _count_children(machine: Machine, parent: int, change: int) -> None:
    record = machine.state.table("jails").get(str(parent))
    if record is not None:
        record["values"]["children.cur"] = str(max(0, int(record["values"]["children.cur"]) + change))
        machine.state.touch("jails", str(parent))


def _checked_path(machine: Machine, path: str, parent: int) -> str:
    whole = path
    if parent:
        above = str(find_number(machine, parent)["values"]["path"])
        whole = os.path.normpath(above.rstrip("/") + "/" + path.lstrip("/"))
    words = f"path {path}"
    if not path.startswith("/"):
        raise Refusal(f"{words}: {os.strerror(errno.ENOENT)}")
    try:
        mode = os.stat(machine.resolve(whole)).st_mode
    except OSError as error:
        raise Refusal(f"{words}: {os.strerror(error.errno or errno.ENOENT)}") from error
    if not stat.S_ISDIR(mode):
        raise Refusal(f"{words}: {os.strerror(errno.ENOTDIR)}")
    return os.path.normpath(whole)


def _check_addresses(machine: Machine, values: dict[str, Any], own_jid: int | None) -> None:
    for family in ("4", "6"):
        mine = set(values[f"ip{family}.addr"])
        for other in all_jails(machine):
            if other["jid"] != own_jid and mine & set(other["values"][f"ip{family}.addr"]):
                raise Refusal(f"IPv{family} addresses clash")


def _next_number(machine: Machine, name: str, start: int) -> int:
    number = int(fact(machine, name, start))
    set_fact(machine, name, number + 1)
    return number


def _next_jid(machine: Machine) -> int:
    # The kernel hands numbers out upwards and skips those that were asked for by number.
    while str(number := _next_number(machine, "jail.next", 1)) in machine.state.table("jails"):
        continue
    return number
