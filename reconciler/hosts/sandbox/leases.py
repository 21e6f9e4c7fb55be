"""dhclient(8) and rtsol(8) in a jail: a network that gives every interface an address of its own."""

from __future__ import annotations

import ipaddress

from reconciler.hosts.sandbox import network
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.facts import set_fact
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed

_LEASES = ipaddress.IPv4Network("198.51.100.0/24")
_ROUTER = "198.51.100.1"
_PREFIX = ipaddress.IPv6Network("2001:db8:51::/64")


def answered(machine: Machine, command: Command, *, jid: int) -> Completed:
    """Answer either tool as seen from a VNET jail."""
    answer = Answer()
    name = command.argv[0].rpartition("/")[2]
    try:
        interface = network.named(machine, jid, command.argv[-1])
        number = int(interface["order"])
        if not interface["up"]:
            raise Refusal(f"{interface['name']}: no link .............. giving up" if name == "dhclient" else "no link")
        if name == "dhclient":
            network.add_address(machine, interface, f"{_LEASES[2 + number % 250]}/24")
            set_fact(machine, f"route.{jid}.default", _ROUTER)
            answer.say(f"bound to {_LEASES[2 + number % 250]} -- renewal in 43200 seconds.")
        else:
            network.add_address(machine, interface, f"{_PREFIX[2 + number]}/64")
    except Refusal as refusal:
        answer.warn(f"{name}: {refusal.message}", 1)
    return answer.completed(command)
