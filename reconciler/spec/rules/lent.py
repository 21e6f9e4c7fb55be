"""Network stacks: where they lead, what fits together, and interfaces that leave the host."""

from __future__ import annotations

from reconciler.spec.document import Jail, Vnet
from reconciler.spec.specset import Sourced
from reconciler.spec.view import Claim, Found, View, error, rivals, together

Vnets = list[tuple[Sourced[Jail], Vnet]]
_VNET = ("network", "vnet")


def _ends_of(vnets: Vnets) -> Found:
    """A bridge or an interface; and what cannot be done without the bridge, or without knowing the address."""
    for item, vnet in vnets:
        if (vnet.bridge is None) == (vnet.interface is None):
            said = "both `bridge` and `interface`" if vnet.bridge else "neither `bridge` nor `interface`"
            hint = "Write one: a bridge that the jail joins, or an interface of the host that it has for itself."
            yield error(item, _VNET, "vnet-ends", "Network stack leads nowhere", f"`{item.name}` has {said}.", hint)
        given = {"gateway": vnet.gateway, "mac": vnet.mac, "nat": vnet.nat, "expose": vnet.expose}
        without = {"mac", "nat", "expose"} if vnet.interface else set()
        without |= {"gateway", "nat", "expose"} if vnet.fixed is None else set()
        for field in (name for name, said in given.items() if said and name in without):
            known = f"its address is asked for by {vnet.address}" if vnet.fixed is None else "it has an interface alone"
            detail = f"`{item.name}` has `{field}`, and {known}."
            hint = f"Leave out `{field}:`, or give the jail an address of its own on a bridge."
            yield error(item, (*_VNET, field), "vnet-unfit", "Network does not fit together", detail, hint)
        if vnet.address == "dhcp" and item.doc.devfs_ruleset is None and not any("bpf" in r for r in item.doc.devfs):
            detail = f"dhclient(8) of `{item.name}` needs /dev/bpf, which jails do not see."
            hint = "Add: devfs: [\"path 'bpf*' unhide\"]"
            yield error(item, (*_VNET, "address"), "dhcp-without-bpf", "DHCP needs a device", detail, hint)


def _lent(view: View, vnets: Vnets) -> Found:
    """An interface goes into one jail, and not the one that leads to the host."""
    claims = []
    for item, vnet in vnets:
        if vnet.interface is None:
            continue
        path = (*_VNET, "interface")
        claims.append((vnet.interface, Claim(item, path, item.name)))
        outer = [host for host in view.hosts_of(item) if host.doc.external == vnet.interface]
        others = [other for other in view.jails if together(other, item)]
        if outer:
            detail = f"{vnet.interface} is the `external` interface of `{outer[0].name}` ({outer[0].place()})."
            hint = "While the jail runs the host does not have it; use another one, or a bridge with it as a member."
            yield error(item, path, "interface-taken", "Interface is taken", detail, hint)
        for other in others:
            if any(entry.interface == vnet.interface for entry in other.doc.network.addresses):
                detail = f"`{other.name}` ({other.place()}) has an address on {vnet.interface}."
                yield error(item, path, "interface-taken", "Interface is taken", detail, "Give one of them another.")
    for interface, first, again in rivals(claims):
        detail = f"{interface} is already the interface of `{first.who}` ({first.span})."
        yield error(
            again.item, again.path, "interface-taken", "Interface is taken", detail, "Give one of them another."
        )


def check(view: View) -> Found:
    """All rules about them."""
    documents = ((item, item.doc.network.vnet) for item in view.jails)
    vnets = [(item, vnet) for item, vnet in documents if vnet is not None]
    yield from _ends_of(vnets)
    yield from _lent(view, vnets)


CHECK = check
