"""OPTIONs about networks: all of a Makejail's together make one `network` of the jail's document.

An address that AppJail would take from a pool of free ones is derived here from the network and the jail's name:
the same in every run and for every order of jails. Two jails that get the same one are told so by lint.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from reconciler.effective.part import Asked, Found, ignored, incomplete, part
from reconciler.makejail.wishes import Wish

OPTIONS = frozenset(
    {"alias", "bridge", "defaultrouter", "defaultrouter6", "dhcp", "expose", "ifconfig", "ifconfig6", "ip4"}
    | {"ip4_inherit", "ip6", "ip6_inherit", "macaddr", "nat", "network", "nonat", "slaac", "virtualnet", "vnet"}
)
"""What is read together."""
AUTOMATIC = "ajnet"
"""The network that `virtualnet=:IF` means; AppJail makes it on demand, with the addresses below."""
AUTOMATIC_NETWORK = ("10.0.0.0/10", "10.0.0.1")
_BRIDGE = "appjail"
_WAYS = ("dhcp", "slaac")
BPF = "path 'bpf*' unhide"
"""The device that dhclient(8) needs; jails do not see it."""
_WIDEST = 64
_SERVICES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "tftp": 69, "http": 80, "pop3": 110, "ntp": 123,
    "imap": 143, "snmp": 161, "ldap": 389, "https": 443, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995,
    "mysql": 3306, "postgresql": 5432, "xmpp-client": 5222, "xmpp-server": 5269, "http-alt": 8080,
}  # fmt: skip


def network_parts(asked: Asked, wishes: Sequence[Wish]) -> Found:
    """What the options say of the network. A spec that has a way of its own keeps it; what else is said joins it."""
    by: dict[str, list[Wish]] = {}
    for wish in wishes:
        by.setdefault(wish.option, []).append(wish)
    found: Found = []
    for wish in by.get("ip4_inherit", ()) or by.get("ip6_inherit", ()):
        found.append(part("network/inherit", True, wish))
    ways = [one for way in _WAYS for one in by.get(way, ())]
    if "virtualnet" in by:
        found += _virtual(asked, by["virtualnet"])
        found += [incomplete(one, "A virtual network says the address itself.") for one in ways]
    elif "bridge" in by:
        found += _bridged(asked, by)
    elif "vnet" in by:
        found += _lent(asked, by)
    elif not asked.network.get("vnet"):
        found += [incomplete(one, "It needs OPTION vnet or bridge.") for one in ways]
    found += _aliases(by)
    has_stack = "virtualnet" in by or any(_is_stack(one) for one in found) or bool(asked.network.get("vnet"))
    for wish in by.get("macaddr", ()):
        found += _mac(wish) if has_stack else [incomplete(wish, "It needs a virtual network, and the jail has none.")]
    for wish in [*by.get("nat", ()), *by.get("nonat", ()), *by.get("expose", ())]:
        if has_stack:
            found += _translated(wish)
        elif wish.option != "nonat":
            found.append(incomplete(wish, f"OPTION {wish.option} needs a virtual network, and the jail has none."))
    return found


def known_networks(wishes: Sequence[Wish]) -> dict[str, tuple[str, str]]:
    """The networks that `OPTION network=NAME CIDR` makes, by name: (network, gateway: its first address)."""
    found = {}
    for wish in wishes:
        network = _network(wish.words[1]) if wish.option == "network" and len(wish.words) > 1 else None
        if network is not None and network.num_addresses > 1:
            found[wish.words[0]] = (str(network), str(network[1]))
    return found


def derived(network: str, jail: str) -> str | None:
    """The address of a jail in a network, with its prefix; never the network's own, the first, or the last.

    >>> derived("10.0.0.0/10", "web")
    '10.58.140.142/10'
    """
    found = _network(network)
    if found is None or found.num_addresses < 8:
        return None
    number = int.from_bytes(hashlib.sha256(f"{found} {jail}".encode()).digest()[:16])
    return f"{found[2 + number % (found.num_addresses - 3)]}/{found.prefixlen}"


def _is_stack(one: object) -> bool:
    return getattr(one, "path", ())[:2] == ("network", "vnet")


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _virtual(asked: Asked, wishes: Sequence[Wish]) -> Found:
    """`NET:IF [default] [address:IP]`: the jail's stack on the bridge NET."""
    wish, found = wishes[0], Found()
    found += [incomplete(other, "A jail has one virtual network, and the first one counts.") for other in wishes[1:]]
    name, colon, _interface = (wish.words or ("",))[0].partition(":")
    if not colon:
        return [*found, incomplete(wish, "It is no NETWORK:INTERFACE.")]
    bridge = name or AUTOMATIC
    if asked.network.get("vnet"):
        return [*found, part("network/vnet/bridge", bridge, wish)] if name else found
    known = {AUTOMATIC: AUTOMATIC_NETWORK, **asked.networks}.get(bridge)
    if known is None:
        hint = f"Add OPTION network={bridge} 10.1.0.0/24, or in the spec: {wish.rule.says}"
        return [*found, incomplete(wish, f"Nothing says which addresses the network {bridge} has.", hint)]
    network, gateway = known
    named = wish.named(1)
    address = _with_prefix(named["address"], network) if named.get("address") else derived(network, asked.jail)
    if address is None:
        return [*found, incomplete(wish, f"The network {network} has no room for the jail.")]
    found.append(part("network/vnet/bridge", bridge, wish))
    found.append(part("network/vnet/address", address, wish, weak=not named.get("address")))
    if "default" in named:
        found.append(part("network/vnet/gateway", gateway, wish, weak=True))
    unknown = sorted(named.keys() - {"default", "address", "interface_desc"})
    return [*found, *(ignored(wish, word) for word in unknown)]


def _with_prefix(address: str, network: str) -> str:
    return address if "/" in address else f"{address}/{network.partition('/')[2]}"


def _bridged(asked: Asked, by: Mapping[str, list[Wish]]) -> Found:
    """`bridge=epair:IF bridge:B`, with an address from ifconfig, or asked for by dhcp or slaac."""
    wish = by["bridge"][0]
    named = wish.named()
    interfaces = [word for word in wish.words if not word.startswith(("bridge:", "iface:"))]
    members = [word for word in wish.words if word.startswith("iface:")]
    found: Found = [ignored(wish, word) for word in (*interfaces[1:], *members)]
    if asked.network.get("vnet"):
        return found
    address = _address(asked, by, found)
    if address is None:
        return [*found, incomplete(wish, "Nothing says the address of the jail's end: OPTION ifconfig, dhcp or slaac.")]
    return [part("network/vnet/bridge", named.get("bridge") or _BRIDGE, wish), *found]


def _lent(asked: Asked, by: Mapping[str, list[Wish]]) -> Found:
    """`vnet=IF`: an interface of the host, with an address as at a bridge."""
    wish = by["vnet"][0]
    found: Found = [
        incomplete(other, "A jail has one interface, and the first one counts.") for other in by["vnet"][1:]
    ]
    if asked.network.get("vnet"):
        return found
    if _address(asked, by, found) is None:
        return [*found, incomplete(wish, "Nothing says its address: OPTION ifconfig, dhcp or slaac.")]
    return [part("network/vnet/interface", (wish.value or "").strip(), wish), *found]


def _address(asked: Asked, by: Mapping[str, list[Wish]], found: Found) -> str | None:
    """Add the address and the gateway of the jail's end to `found`; None where nothing says it."""
    for told in (*by.get("ifconfig", ()), *by.get("ifconfig6", ())):
        address = re.search(r"\binet6?\s+(\S+)(?:\s+netmask\s+(\S+)|\s+prefixlen\s+(\d+))?", told.value or "")
        if address is None:
            continue
        text = _interface(address[1], address[2] or address[3])
        if text is None:
            found.append(incomplete(told, f"{address[1]} is no address with its prefix."))
            continue
        found.append(part("network/vnet/address", text, told))
        routers = by.get("defaultrouter6" if ":" in text else "defaultrouter", ())
        found += (part("network/vnet/gateway", router.value, router) for router in routers)
        return text
    for way in _WAYS:
        for told in by.get(way, ())[:1]:
            found.append(part("network/vnet/address", way, told))
            if way == "dhcp" and "devfs_ruleset" not in asked.raw and "bpf" not in str(asked.raw.get("devfs", "")):
                found.append(part("devfs", BPF, told, append=True))
            return way
    return None


def _mac(wish: Wish) -> Found:
    """`IF:static`, `IF:static:MAC`, `IF:random` or `IF:MAC`; one that is derived never changes."""
    _name, colon, text = (wish.value or "").strip().partition(":")
    if not colon:
        return [incomplete(wish, "It is no INTERFACE:ADDRESS.")]
    if text == "random":
        return [ignored(wish, "random")]
    given = text.removeprefix("static").removeprefix(":")
    # Of `static:xx:xx:xx` only the vendor's half is said.
    if len(given) == 8 and text.startswith("static:"):
        return [ignored(wish, f"the vendor {given}")]
    return [part("network/vnet/mac", given, wish)] if given else []


def _interface(address: str, prefix: str | None) -> str | None:
    try:
        return str(ip_interface(address if prefix is None else f"{address}/{prefix}"))
    except ValueError:
        return None


def _aliases(by: Mapping[str, list[Wish]]) -> Found:
    """`alias=IF` with `ip4=[IF|]A[/M]`: addresses of the host's interfaces."""
    found: Found = []
    usual = next((wish.value for wish in by.get("alias", ()) if wish.value), "")
    for wish in (*by.get("ip4", ()), *by.get("ip6", ())):
        interface, bar, text = (wish.value or "").strip().rpartition("|")
        place = interface if bar else usual
        try:
            plain = ip_address(text.partition("/")[0])
        except ValueError:
            found.append(incomplete(wish, f"{text!r} is no address."))
            continue
        if not place:
            found.append(incomplete(wish, "Neither it nor OPTION alias says on which interface of the host."))
            continue
        address = text if "/" in text else f"{text}/{plain.max_prefixlen}"
        found.append(part(f"network/addresses/{address.replace('/', ' ')}/interface", place, wish))
    return found


def _translated(wish: Wish) -> Found:
    """NAT, and ports of the host that lead to the jail."""
    if wish.option in ("nat", "nonat"):
        others = sorted(wish.named().keys() - {"network"})
        return [part("network/vnet/nat", wish.option == "nat", wish), *(ignored(wish, word) for word in others)]
    named = dict(wish.named(1))
    here, _colon, there = (wish.words or ("",))[0].partition(":")
    outside, inside = _ports(here), _ports(there or here)
    if not outside or len(outside) != len(inside) or len(outside) > _WIDEST:
        return [incomplete(wish, f"{here}:{there or here} are no ports, or more than {_WIDEST}.")]
    protocol, interface = named.pop("proto", "") or "tcp", named.pop("ext_if", "")
    found: Found = [ignored(wish, word) for word in sorted(named.keys() - {"network", "descr"})]
    for port, target in zip(outside, inside, strict=True):
        key = f"network/vnet/expose/{port} {protocol}"
        found.append(part(f"{key}/jail", target, wish))
        found += [part(f"{key}/interface", interface, wish)] if interface else []
    return found


def _ports(text: str) -> list[int]:
    """A number, a range, or a name of services(5)."""
    first, dash, last = text.partition("-")
    if text in _SERVICES:
        return [_SERVICES[text]]
    if not (first.isdecimal() and (last.isdecimal() or not dash)) or len(text) > 11:
        return []
    return list(range(int(first), min(int(last or first), int(first) + _WIDEST) + 1))
