"""The network of build jails: said whole, and clear of what jails have."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

from reconciler.spec.document import BuildVnet, Host, Jail
from reconciler.spec.networks import addresses_from
from reconciler.spec.specset import Path_, Sourced
from reconciler.spec.view import Found, View, error, warning

_VNET = ("build", "vnet")


def check(view: View) -> Found:
    """All rules about the networks of builds."""
    for host in view.hosts:
        build = host.doc.build
        if build.network == "vnet" and build.vnet is None:
            detail = f"`{host.name}` gives build jails a network stack of their own, and says no bridge or address."
            hint = "Add vnet: {bridge: builds0, address: 10.78.0.10/24, gateway: 10.78.0.1, nat: true} to `build`."
            yield error(host, ("build", "network"), "missing-key", "Required key is missing", detail, hint)
        elif build.network != "vnet" and build.vnet is not None:
            detail = f"`vnet` counts only with `network: vnet`, and the network of builds is `{build.network}`."
            hint = "Write network: vnet, or remove `vnet`."
            yield error(host, _VNET, "bad-value", "Value is not allowed", detail, hint)
        if build.vnet is not None:
            yield from _alone(host, build.vnet)
            for item in view.jails:
                if not item.hosts or host.name in item.hosts:
                    yield from _beside(host, build.vnet, item)


def _alone(host: Sourced[Host], vnet: BuildVnet) -> Found:
    own = ip_interface(vnet.address)
    first, last = addresses_from(vnet.address)
    if int(first) > int(last) or (first == own.network.network_address and own.network.num_addresses > 2):
        detail = f"{own.ip} is no address that an interface of {own.network} can have."
        yield error(host, (*_VNET, "address"), "address-unusable", "Address cannot be used", detail)
    if vnet.gateway is None:
        if vnet.nat:
            detail = f"Build jails of `{host.name}` have nat but no gateway, so nothing of them reaches the host's pf."
            hint = f"Add `gateway:`, such as {next(own.network.hosts(), own.ip)}."
            yield warning(host, (*_VNET, "nat"), "nat-without-gateway", "NAT without a gateway", detail, hint)
    elif ip_address(vnet.gateway) not in own.network:
        detail = f"The gateway {vnet.gateway} is not in {own.network}, the subnet of {vnet.address}."
        hint = "Correct the gateway, or the prefix length of the address."
        yield error(host, (*_VNET, "gateway"), "gateway-outside-subnet", "Gateway is outside the subnet", detail, hint)
    elif ip_address(vnet.gateway) == first == last:
        detail = f"The gateway {vnet.gateway} is the only address that build jails could have."
        yield error(host, (*_VNET, "gateway"), "address-taken", "Address is taken", detail, "Choose a wider subnet.")
    if vnet.nat and host.doc.external is None:
        detail = f"Build jails of `{host.name}` have nat, and it names no `external` interface."
        hint = f"Add `external: vtnet0`, or what `route -n get default` shows, to `{host.name}`."
        yield error(host, (*_VNET, "nat"), "external-missing", "The outside interface is not known", detail, hint)


def _beside(host: Sourced[Host], vnet: BuildVnet, item: Sourced[Jail]) -> Found:
    """What a jail has that build jails would have too."""
    first, last = addresses_from(vnet.address)
    where = host.place((*_VNET, "address"))
    for path, text in _addresses(item):
        own = ip_interface(text).ip
        gateway = path[-1] == "gateway" and str(own) == vnet.gateway
        if own.version == first.version and int(first) <= int(own) <= int(last) and not gateway:
            detail = f"{own} of `{item.name}` is one of the addresses of build jails, {first} to {last} ({where})."
            hint = "Give the jail a lower one, or build jails a network of their own."
            yield error(item, path, "address-taken", "Address is taken", detail, hint)
        elif str(own) == vnet.gateway and not gateway:
            detail = f"{own} of `{item.name}` is the gateway of build jails ({where})."
            yield error(item, path, "address-taken", "Address is taken", detail, "Give the jail another one.")
    theirs = item.doc.network.vnet
    if theirs is None or theirs.bridge != vnet.bridge:
        return
    mine, its = ip_interface(vnet.address).network, ip_interface(theirs.address).network
    differs = mine.version == its.version and (mine != its or (theirs.gateway or None) not in (None, vnet.gateway))
    if differs:
        detail = f"On the bridge `{vnet.bridge}`, build jails have {mine} with the gateway {vnet.gateway}, "
        detail += f"and `{item.name}` has {its} with {theirs.gateway}."
        hint = f"Make it the same as at {where}, or use another bridge."
        path = ("network", "vnet", "address")
        yield error(item, path, "bridge-disagrees", "Jails on a bridge disagree", detail, hint)


def _addresses(item: Sourced[Jail]) -> Iterator[tuple[Path_, str]]:
    network = item.doc.network
    for number, one in enumerate(network.addresses):
        yield ("network", "addresses", number, "address"), one.address
    if network.vnet is not None:
        yield ("network", "vnet", "address"), network.vnet.address
        if network.vnet.gateway is not None:
            yield ("network", "vnet", "gateway"), network.vnet.gateway


CHECK = check
