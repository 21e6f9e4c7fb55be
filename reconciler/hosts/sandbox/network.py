"""Interfaces of the sandbox host and of its VNET jails: made, named, joined, moved and shown.

Key `JID/NAME` (JID 0 is the host) in table `interfaces`. Shapes follow ifconfig(8) of FreeBSD 15.1.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any

from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.facts import fact, set_fact
from reconciler.hosts.sandbox.machine import Machine

Interface = dict[str, Any]
NAME_LIMIT = 15
CLONERS = ("bridge", "epair", "lo", "tap", "vlan")
_FLAGS = {"UP": 1, "BROADCAST": 2, "LOOPBACK": 8, "RUNNING": 0x40, "PROMISC": 0x100, "SIMPLEX": 0x800,
          "MULTICAST": 0x8000, "LOWER_UP": 0x1000000}  # fmt: skip


def ensure(machine: Machine) -> dict[str, Interface]:
    """The table, with the interfaces that a fresh host has."""
    table = machine.state.table("interfaces")
    if "0/lo0" not in table:
        _add(machine, _loopback(0))
        nic = _new("vtnet0", "vtnet", 0, [])
        nic.update({"up": True, "order": 1, "inet": [["10.0.2.15", 24]], "inet6": []})
        _add(machine, nic)
        set_fact(machine, "route.0.default", "10.0.2.2")
    return table


def _loopback(jid: int) -> Interface:
    made = _new("lo0", "lo", jid, ["lo"])
    if jid == 0:
        made.update({"up": True, "inet": [["127.0.0.1", 8]], "order": 2})
    return made


def _new(name: str, driver: str, jid: int, groups: list[str]) -> Interface:
    return {"name": name, "driver": driver, "jid": jid, "home": 0, "up": False, "ether": "", "inet": [],
            "inet6": [], "description": "", "groups": groups, "members": [], "peer": "", "order": 0,
            "mtu": 16384 if driver == "lo" else 1500}  # fmt: skip


def _add(machine: Machine, interface: Interface) -> None:
    if not interface["order"]:
        interface["order"] = int(fact(machine, "interface.next", 3))
        set_fact(machine, "interface.next", interface["order"] + 1)
    if interface["driver"] != "lo" and not interface["ether"]:
        digest = hashlib.sha256(f"{fact(machine, 'kern.hostuuid')}{interface['order']}".encode()).hexdigest()
        interface["ether"] = ":".join(["58", "9c", "fc", "10", digest[:2], digest[2:4]])
    store(machine, interface)


def store(machine: Machine, interface: Interface) -> None:
    """Write an interface back after a change."""
    key = f"{interface['jid']}/{interface['name']}"
    machine.state.table("interfaces")[key] = interface
    machine.state.touch("interfaces", key)


def drop(machine: Machine, interface: Interface) -> None:
    """Take an interface out of the table."""
    key = f"{interface['jid']}/{interface['name']}"
    machine.state.table("interfaces").pop(key, None)
    machine.state.touch("interfaces", key)


def inside(machine: Machine, jid: int) -> list[Interface]:
    """The interfaces of the host or of one VNET jail, oldest first."""
    found = [i for i in ensure(machine).values() if i["jid"] == jid]
    return sorted(found, key=lambda i: (i["driver"] != "lo" if jid else i["order"], i["order"]))


def named(machine: Machine, jid: int, name: str) -> Interface:
    """One interface; raises Refusal in ifconfig's words."""
    found = ensure(machine).get(f"{jid}/{name}")
    if found is None:
        raise Refusal(f"interface {name} does not exist")
    return found


def create(machine: Machine, jid: int, name: str) -> str:
    """`ifconfig NAME create`: the name that was made (the `a` half of an epair)."""
    if len(name) > NAME_LIMIT:
        raise Refusal(f"{name}: cloning name too long")
    driver = name.rstrip("0123456789ab") if name.startswith("epair") else name.rstrip("0123456789")
    if driver not in CLONERS:
        raise Refusal("SIOCIFCREATE2 (" + name + "): Invalid argument")
    number = name[len(driver) :].rstrip("ab")
    table = ensure(machine)
    suffixes = ("a", "b") if driver == "epair" else ("",)
    if not number:
        # A renamed half still holds its unit, so the search goes over the units themselves.
        taken = {i.get("unit") for i in table.values() if i["driver"] == driver}
        number = str(next(n for n in range(len(table) + 1) if n not in taken))
    elif any(i.get("unit") == int(number) and i["driver"] == driver for i in table.values()):
        raise Refusal(f"ifconfig: interface {driver}{number} already exists".removeprefix("ifconfig: "))
    for suffix in suffixes:
        made = _new(f"{driver}{number}{suffix}", driver, jid, [driver])
        made.update({"home": jid, "unit": int(number), "half": suffix})
        _add(machine, made)
    return f"{driver}{number}{suffixes[0]}"


def destroy(machine: Machine, interface: Interface) -> None:
    """`ifconfig NAME destroy`: both halves of an epair go, wherever they are."""
    if interface["driver"] not in CLONERS or interface["name"] == "lo0":
        raise Refusal("SIOCIFDESTROY: Invalid argument")
    for other in list(ensure(machine).values()):
        same = other["driver"] == interface["driver"] and other.get("unit") == interface.get("unit")
        if same or other is interface:
            leave_bridges(machine, other)
            drop(machine, other)


def leave_bridges(machine: Machine, interface: Interface) -> None:
    """No bridge of the same network has it as a member any more."""
    for bridge in inside(machine, interface["jid"]):
        if interface["name"] in bridge["members"]:
            bridge["members"].remove(interface["name"])
            store(machine, bridge)


def rename(machine: Machine, interface: Interface, name: str) -> None:
    """`ifconfig NAME name OTHER`."""
    if len(name) > NAME_LIMIT:
        raise Refusal("ioctl SIOCSIFNAME (set name): File name too long")
    if f"{interface['jid']}/{name}" in ensure(machine):
        raise Refusal("ioctl SIOCSIFNAME (set name): File exists")
    for bridge in inside(machine, interface["jid"]):
        bridge["members"] = [name if m == interface["name"] else m for m in bridge["members"]]
        store(machine, bridge)
    drop(machine, interface)
    interface["name"] = name
    store(machine, interface)


def move(machine: Machine, interface: Interface, jid: int) -> None:
    """Hand an interface to a VNET jail, or back to the host (jid 0); addresses and membership are lost."""
    leave_bridges(machine, interface)
    drop(machine, interface)
    interface.update({"jid": jid, "inet": [], "inet6": [], "up": False})
    store(machine, interface)


def enter_vnet(machine: Machine, jid: int) -> None:
    """The network of a new VNET jail: its own loopback."""
    ensure(machine)
    _add(machine, _loopback(jid))


def leave_vnet(machine: Machine, jid: int) -> None:
    """A VNET jail is gone: what was made inside goes, what was lent returns to its home."""
    for interface in inside(machine, jid):
        if interface["driver"] == "lo" or interface["home"] == jid:
            drop(machine, interface)
        else:
            move(machine, interface, interface["home"])
    set_fact(machine, f"route.{jid}.default", None)
    set_fact(machine, f"route.{jid}.default6", None)


def add_address(machine: Machine, interface: Interface, text: str) -> None:
    """`ifconfig IF inet ADDRESS[/LENGTH]` (alias or not)."""
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise Refusal(f"{text.partition('/')[0]}: bad value") from error
    family = f"inet{'' if address.version == 4 else 6}"
    length = address.network.prefixlen if "/" in text else _class_length(address)
    pair = [str(address.ip), length]
    if pair[0] not in [a[0] for a in interface[family]]:
        interface[family].append(pair)
    # Giving an address brings the interface up, as the kernel does.
    interface["up"] = True
    store(machine, interface)


def remove_address(machine: Machine, interface: Interface, text: str) -> None:
    """`ifconfig IF inet ADDRESS -alias`."""
    plain = text.partition("/")[0]
    for family in ("inet", "inet6"):
        kept = [a for a in interface[family] if a[0] != plain]
        if len(kept) < len(interface[family]):
            interface[family] = kept
            store(machine, interface)
            return
    raise Refusal("ioctl (SIOCDIFADDR): Can't assign requested address")


def _class_length(address: Any) -> int:
    if address.version == 6:
        return 64
    first = int(str(address.ip).partition(".")[0])
    return 8 if first < 128 else 16 if first < 192 else 24


def add_member(machine: Machine, bridge: Interface, name: str) -> None:
    """`ifconfig BRIDGE addm NAME`."""
    other = ensure(machine).get(f"{bridge['jid']}/{name}")
    if other is None:
        raise Refusal(f"BRDGADD {name}: No such file or directory")
    if name in bridge["members"]:
        raise Refusal(f"BRDGADD {name}: File exists")
    if any(name in b["members"] for b in inside(machine, bridge["jid"])):
        raise Refusal(f"BRDGADD {name}: Device busy")
    for family, word in (("inet", "IPv4"), ("inet6", "IPv6")):
        if other[family]:  # if_bridge(4) of FreeBSD 15, while net.link.bridge.member_ifaddrs is 0
            raise Refusal(
                f"BRDGADD {name}: Invalid argument (Member interface may not have an {word} address configured)"
            )
    bridge["members"].append(name)
    store(machine, bridge)


def remove_member(machine: Machine, bridge: Interface, name: str) -> None:
    """`ifconfig BRIDGE deletem NAME`."""
    if name not in bridge["members"]:
        raise Refusal(f"BRDGDEL {name}: No such file or directory")
    bridge["members"].remove(name)
    store(machine, bridge)


def shown(machine: Machine, interface: Interface, *, only: str = "", cidr: bool = False) -> str:
    """The block that ifconfig prints; `only` is an address family."""
    driver = interface["driver"]
    words, number = _flags(machine, interface)
    lines = [f"{interface['name']}: flags={number:x}<{','.join(words)}> metric 0 mtu {interface['mtu']}"]
    if interface["description"] and not only:
        lines.append(f"description: {interface['description']}")
    lines.append(_OPTIONS.get(driver, _OPTIONS["epair"]))
    if interface["ether"] and not only:
        lines.append(f"ether {interface['ether']}")
    if only != "inet6":
        lines += [_inet(a, n, driver, cidr) for a, n in interface["inet"]]
    if only != "inet":
        lines += _inet6(interface)
    if not only:
        lines += _tail(machine, interface)
    return "\n\t".join(lines) + "\n"


_OPTIONS = {
    "lo": "options=680003<RXCSUM,TXCSUM,LINKSTATE,RXCSUM_IPV6,TXCSUM_IPV6>",
    "bridge": "options=10<VLAN_HWTAGGING>",
    "epair": "options=60001b<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,RXCSUM_IPV6,TXCSUM_IPV6>",
}


def _flags(machine: Machine, interface: Interface) -> tuple[list[str], int]:
    words = ["UP"] if interface["up"] else []
    if interface["driver"] == "lo":
        words += ["LOOPBACK", *(["RUNNING"] if interface["up"] else []), "MULTICAST"]
        words += ["LOWER_UP"] if interface["up"] else []
    else:
        member = any(interface["name"] in b["members"] for b in inside(machine, interface["jid"]))
        running = ["RUNNING"] if interface["driver"] != "bridge" or interface["up"] else []
        words += ["BROADCAST", *running, *(["PROMISC"] if member else []), "SIMPLEX", "MULTICAST"]
        words += ["LOWER_UP"] if running else []
    return words, sum(_FLAGS[w] for w in words)


def _inet(address: str, length: int, driver: str, cidr: bool) -> str:
    network = ipaddress.ip_interface(f"{address}/{length}").network
    spread = f" broadcast {network.broadcast_address}" if driver != "lo" else ""
    if cidr:
        return f"inet {address}/{length}{spread}"
    return f"inet {address} netmask 0x{int(network.netmask):08x}{spread}"


def _inet6(interface: Interface) -> list[str]:
    lines = []
    if interface["driver"] == "lo" and interface["up"]:
        lines = ["inet6 ::1 prefixlen 128", f"inet6 fe80::1%{interface['name']} prefixlen 64 scopeid 0x2"]
    return lines + [f"inet6 {a} prefixlen {n}" for a, n in interface["inet6"]]


def _tail(machine: Machine, interface: Interface) -> list[str]:
    driver, lines = interface["driver"], []
    if driver == "bridge":
        lines += ["id 00:00:00:00:00:00 priority 32768 hellotime 2 fwddelay 15",
                  "maxage 20 holdcnt 6 proto rstp maxaddr 2000 timeout 1200",
                  "root id 00:00:00:00:00:00 priority 32768 ifcost 0 port 0", "bridge flags=0<>"]  # fmt: skip
        for name in interface["members"]:
            port = named(machine, interface["jid"], name)["order"]
            lines += [f"member: {name} flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>",
                      f"        port {port} priority 128 path cost 2000 vlan protocol 802.1q"]  # fmt: skip
    if interface["groups"]:
        lines.append("groups: " + " ".join(interface["groups"]))
    if driver not in ("lo", "bridge"):
        lines += ["media: Ethernet 10Gbase-T (10Gbase-T <full-duplex>)", "status: active"]
    options = {"lo": "21<PERFORMNUD,AUTO_LINKLOCAL>", "bridge": "9<PERFORMNUD,IFDISABLED>"}
    lines.append(f"nd6 options={options.get(driver, '29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>')}")
    return lines
