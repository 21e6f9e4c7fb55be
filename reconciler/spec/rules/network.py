"""Networks: one mode, addresses and ports with one owner, bridges that all agree on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network

from reconciler.spec.document import Jail, Vnet
from reconciler.spec.specset import Path_, Sourced
from reconciler.spec.view import Claim, Found, View, error, rivals, together, warning

_VNET = ("network", "vnet")
Vnets = list[tuple[Sourced[Jail], Vnet]]
"""The jails with a network stack of their own whose document says the address; `lent` is about the others too."""


@lru_cache(maxsize=65536)
def interface_of(text: str) -> IPv4Interface | IPv6Interface:
    """An address with its prefix; every rule asks for the same ones again."""
    return ip_interface(text)


def _modes(view: View, _vnets: Vnets) -> Found:
    for item in view.jails:
        network = item.doc.network
        used = (network.inherit, bool(network.addresses), network.vnet is not None)
        if sum(used) > 1:
            given = [name for name, is_used in zip(("inherit", "addresses", "vnet"), used, strict=True) if is_used]
            detail = f"`{item.name}` has {' and '.join(f'`{name}`' for name in given)} in its network."
            hint = "Keep one: inherit the host's stack, take addresses of the host, or have a stack with vnet."
            path = ("network", given[1])
            yield error(item, path, "network-modes", "Network has several modes", detail, hint)


def _vnets(view: View) -> Vnets:
    documents = ((item, item.doc.network.vnet) for item in view.jails)
    return [(item, vnet) for item, vnet in documents if vnet is not None and vnet.fixed is not None]


def _gateways(_view: View, vnets: Vnets) -> Found:
    for item, vnet in vnets:
        own = interface_of(vnet.address)
        if vnet.gateway is None:
            if vnet.nat:
                detail = f"`{item.name}` has nat but no gateway, so nothing of it reaches the host's pf."
                hint = f"Add `gateway:`, such as {next(own.network.hosts(), own.ip)}."
                yield warning(item, (*_VNET, "nat"), "nat-without-gateway", "NAT without a gateway", detail, hint)
            continue
        gateway = ip_address(vnet.gateway)
        path = (*_VNET, "gateway")
        if gateway == own.ip:
            detail = f"The gateway {gateway} is the address of `{item.name}` itself."
            hint = "The gateway is the bridge's address on the host; give the jail another one."
            yield error(item, path, "address-taken", "Address is taken", detail, hint)
        elif gateway not in own.network:
            detail = f"The gateway {gateway} is not in {own.network}, the subnet of {vnet.address}."
            hint = "Correct the gateway, or the prefix length of the address."
            if own.network.num_addresses == 1:
                hint = f"The address has no prefix length: {own.ip}/24"
            summary = "Gateway is outside the subnet"
            yield error(item, path, "gateway-outside-subnet", summary, detail, hint)


def _bridges(_view: View, vnets: Vnets) -> Found:
    # By bridge and host (None: all hosts): one jail for each thing that jails say, however many say it.
    told: dict[str, dict[str | None, dict[object, tuple[Sourced[Jail], Vnet]]]] = {}
    for item, vnet in vnets:
        if vnet.bridge is None:
            continue
        hosts = told.setdefault(vnet.bridge, {})
        said = (interface_of(vnet.address).network, vnet.gateway)
        own = item.hosts or (None,)
        if all(said in hosts.get(host, {}) for host in own):
            continue
        others = (other for host in ((None, *own) if item.hosts else hosts) for other in hosts.get(host, {}).values())
        yield from _against(item, vnet, others)
        for host in own:
            hosts.setdefault(host, {}).setdefault(said, (item, vnet))


def _against(item: Sourced[Jail], vnet: Vnet, others: Iterable[tuple[Sourced[Jail], Vnet]]) -> Found:
    """The first of the others that says something else about the bridge."""
    for other, theirs in others:
        found = _disagreement(vnet, theirs)
        if found is not None:
            what, mine, its = found
            detail = f"On the bridge `{vnet.bridge}`, `{item.name}` has the {what} {mine} and `{other.name}` {its}."
            hint = f"Make it the same as at {other.place((*_VNET, 'address'))}, or use another bridge."
            path = (*_VNET, "gateway" if what == "gateway" else "address")
            yield error(item, path, "bridge-disagrees", "Jails on a bridge disagree", detail, hint)
            return


def _disagreement(one: Vnet, other: Vnet) -> tuple[str, str, str] | None:
    mine, theirs = interface_of(one.address), interface_of(other.address)
    if mine.version != theirs.version:
        return None
    if mine.network != theirs.network:
        return "subnet", str(mine.network), str(theirs.network)
    if one.gateway and other.gateway and ip_address(one.gateway) != ip_address(other.gateway):
        return "gateway", one.gateway, other.gateway
    return None


def _addresses(view: View, vnets: Vnets) -> Found:
    claims: list[tuple[str, Claim]] = []
    spots: list[tuple[Path_, str]]
    for item in view.jails:
        network = item.doc.network
        spots = [(("network", "addresses", n, "address"), ip.address) for n, ip in enumerate(network.addresses)]
        if network.vnet is not None and network.vnet.fixed is not None:
            spots.append(((*_VNET, "address"), network.vnet.address))
        claims += [(str(interface_of(text).ip), Claim(item, path, item.name)) for path, text in spots]
    for address, first, again in rivals(claims):
        detail = f"{address} is already the address of `{first.who}` ({first.span})."
        yield error(again.item, again.path, "address-taken", "Address is taken", detail, "Give one of them another.")
    documents = ((item, item.doc.network.vnet) for item in view.jails)
    macs = ((v.mac, Claim(item, (*_VNET, "mac"), item.name)) for item, v in documents if v and v.mac)
    for mac, first, again in rivals(macs):
        detail = f"{mac} is already the MAC address of `{first.who}` ({first.span})."
        yield error(again.item, again.path, "address-taken", "Address is taken", detail, "Give one of them another.")
    taken = dict(reversed(claims))
    for item, vnet in vnets:
        owner = taken.get(str(ip_address(vnet.gateway))) if vnet.gateway else None
        if owner is not None and owner.item is not item and together(owner.item, item):
            detail = f"The gateway {vnet.gateway} of `{item.name}` is the address of `{owner.who}` ({owner.span})."
            hint = "The bridge on the host has the gateway's address; give the jail another one."
            yield error(item, (*_VNET, "gateway"), "address-taken", "Address is taken", detail, hint)


def _ends(_view: View, vnets: Vnets) -> Found:
    """Addresses that name a whole subnet or its broadcast."""
    for item, vnet in vnets:
        own = interface_of(vnet.address)
        subnet = ip_network(own.network)
        if (
            subnet.version == 4
            and subnet.prefixlen < 31
            and own.ip in (subnet.network_address, subnet.broadcast_address)
        ):
            detail = (
                f"{own.ip} is the {'network' if own.ip == subnet.network_address else 'broadcast'} address of {subnet}."
            )
            hint = f"Use one between {subnet[1]} and {subnet[-2]}."
            yield error(item, (*_VNET, "address"), "address-unusable", "Address cannot be used", detail, hint)


def _ports(view: View, vnets: Vnets) -> Found:
    claims: list[tuple[str, Claim]] = []
    for item, vnet in vnets:
        outside = {host.doc.external for host in view.hosts_of(item)}
        usual = outside.pop() if len(outside) == 1 else None
        for number, port in enumerate(vnet.expose):
            interface = port.interface or usual or "the external interface"
            what = f"port {port.host}/{port.protocol} on {interface}"
            claims.append((what, Claim(item, (*_VNET, "expose", number, "host"), item.name)))
    for what, first, again in rivals(claims):
        detail = f"`{again.who}` exposes {what}, which already leads to `{first.who}` ({first.span})."
        yield error(again.item, again.path, "port-taken", "Host port is taken", detail, "Use another host port.")


def _outside(view: View, vnets: Vnets) -> Found:
    """Translation happens on the interface that faces the outside, so somebody has to say which that is."""
    for item, vnet in vnets:
        unnamed = [number for number, port in enumerate(vnet.expose) if port.interface is None]
        if not vnet.nat and not unnamed:
            continue
        hosts = view.hosts_of(item)
        without = [host for host in hosts if host.doc.external is None]
        if without:
            what = f"the Host document `{without[0].name}` ({without[0].place()}) names no `external` interface"
            hint = f"Add `external: vtnet0`, or what `route -n get default` shows, to `{without[0].name}`."
        elif not hosts and view.complete and not view.broken.get("Host"):
            what = "no Host document names the `external` interface"
            hint = "Write a Host document with `external: vtnet0`, or what `route -n get default` shows."
        else:
            continue
        path = (*_VNET, "nat") if vnet.nat else (*_VNET, "expose", unnamed[0])
        detail = f"`{item.name}` has {'nat' if vnet.nat else 'an exposed port'}, and {what}."
        yield error(item, path, "external-missing", "The outside interface is not known", detail, hint)


def check(view: View) -> Found:
    """All rules about networks."""
    vnets = _vnets(view)
    for rule in (_modes, _gateways, _bridges, _addresses, _ends, _ports, _outside):
        yield from rule(view, vnets)
    interface_of.cache_clear()  # a kilobyte for each address, which nothing else asks for


CHECK = check
