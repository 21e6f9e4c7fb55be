"""route(8) and netstat(1): the default route and the tables that follow from addresses."""

from __future__ import annotations

import ipaddress
import re

from reconciler.hosts.sandbox import network, xo
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.facts import fact, set_fact
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

_PRETTY = {"U": "up", "G": "gateway", "S": "static", "H": "host"}


def main(machine: Machine, command: Command) -> Completed:
    """Answer both tools on the host."""
    return answered(machine, command, jid=0)


def answered(machine: Machine, command: Command, *, jid: int) -> Completed:
    """Answer both tools as seen from the host (0) or from a VNET jail."""
    answer = Answer()
    words = list(command.argv[1:])
    network.ensure(machine)
    try:
        if command.argv[0].endswith("netstat"):
            _netstat(machine, jid, words, answer)
        else:
            family = "inet6" if {"-6", "-inet6"} & set(words) else "inet"
            rest = [w for w in words if w not in ("-n", "-4", "-6", "-q", "-net", "-inet", "-inet6")]
            _route(machine, jid, family, rest, answer)
    except Refusal as refusal:
        answer.warn(f"{command.argv[0].rpartition('/')[2]}: {refusal.message}", refusal.status)
    return answer.completed(command)


def _route(machine: Machine, jid: int, family: str, words: list[str], answer: Answer) -> None:
    verb, target = [*words, "", ""][:2]
    name = f"route.{jid}.default" + ("6" if family == "inet6" else "")
    gateway = fact(machine, name)
    if verb in ("add", "change") and target in ("default", "0.0.0.0/0", "0/0") and len(words) > 2:
        new = words[2]
        failed = f"add net default: gateway {new} fib 0:"
        if verb == "add" and gateway:
            raise Refusal(f"message indicates error: File exists\n{failed} route already in table")
        if _towards(machine, jid, new) is None:
            raise Refusal(f"message indicates error: Network is unreachable\n{failed} Network is unreachable")
        set_fact(machine, name, new)
        answer.say(f"{verb} net default: gateway {new}")
    elif verb in ("delete", "del") and target == "default":
        if not gateway:
            raise Refusal("message indicates error: No such process\ndelete net default fib 0: not in table")
        set_fact(machine, name, None)
        answer.say(f"delete net default{': gateway ' + words[2] if len(words) > 2 else ''}")
    elif verb == "get" and target:
        interface = _towards(machine, jid, gateway or "")
        if interface is None:
            raise Refusal("route has not been found")
        answer.say(f"   route to: {target}\ndestination: default\n    gateway: {gateway}\n  interface: {interface}")
    elif verb != "flush":
        raise Refusal("usage: route [-46dnqtv] command [[modifiers] args]", 64)


def _towards(machine: Machine, jid: int, address: str) -> str | None:
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return None
    for interface in network.inside(machine, jid):
        for own, length in interface["inet6" if wanted.version == 6 else "inet"]:
            if wanted in ipaddress.ip_interface(f"{own}/{length}").network:
                return str(interface["name"])
    return None


def _rows(machine: Machine, jid: int) -> list[tuple[str, str, str, str]]:
    rows = []
    gateway = fact(machine, f"route.{jid}.default")
    interfaces = network.inside(machine, jid)
    if gateway:
        rows.append(("default", gateway, "UGS", _towards(machine, jid, gateway) or "lo0"))
    for number, interface in enumerate(interfaces, 1):
        for own, length in interface["inet"]:
            if interface["driver"] == "lo":
                rows.append((own, f"link#{number}", "UH", interface["name"]))
                continue
            net = ipaddress.ip_interface(f"{own}/{length}").network
            rows.append((str(net), f"link#{number}", "U", interface["name"]))
            rows.append((own, "link#2", "UHS", "lo0"))
    return sorted(rows, key=lambda r: -1 if r[0] == "default" else int(ipaddress.ip_interface(r[0]).ip))


def _netstat(machine: Machine, jid: int, words: list[str], answer: Answer) -> None:
    if any(word.startswith("-") and "i" in word and not word.startswith("--") for word in words):
        raise Refusal("interface counters are not kept by the sandbox")
    rows = _rows(machine, jid)
    if any(word.startswith("--libxo") for word in words):
        entries = [{"destination": d, "gateway": g, "flags": f, "flags_pretty": [_PRETTY[c] for c in f],
                    "weight": 1, "nhop-kidx": n, "interface-name": i}
                   for n, (d, g, f, i) in enumerate(rows, 1)]  # fmt: skip
        table = {"rt-family": [{"address-family": "Internet", "rt-entry": entries}]}
        tree = {"statistics": {"route-information": {"route-table": table}}}
        text = xo.document(tree, pretty="pretty" in " ".join(words))
        answer.out.append(re.sub(r'^\{\s*"__version": "2", \s*', "{", text))
        return
    answer.say("Routing tables\n\nInternet:")
    answer.say("Destination        Gateway            Flags         Netif Expire")
    for destination, gateway, flags, interface in rows:
        answer.say(f"{destination:<18} {gateway:<18} {flags:<8} {interface:>10}")


COMMAND = Simulated(("route", "netstat"), main)
