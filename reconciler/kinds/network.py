"""What joins a running jail to the network on the host's side: aliases, bridge membership, pf rules.

Its hooks make all of it at start; here only live drift is put right. Addresses inside a VNET jail are
its own business and are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import ClassVar

from reconciler.kind import Desired, Kind, Seen
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Span
from reconciler.model.ports import JailRow
from reconciler.model.value import Ref, Resource
from reconciler.runtime import names
from reconciler.spec.document import Vnet

OURS = "reconciler: "  # and the bridge's name: how the start hook describes a bridge that it makes


@dataclass(frozen=True, slots=True)
class Attachment(Resource):
    """One attachment by `JAIL:TYPE:WHAT`: type is `alias` (IF|ADDRESS), `member` (BRIDGE/IF) or `pf`.

    A bridge of ours has its gateway address for all its jails: `:gateway:BRIDGE|ADDRESS`.
    """

    kind: ClassVar[str] = "network"
    jail: str = ""
    present: bool = True
    rules: str = field(default="", compare=False)
    gateway: str = field(default="", compare=False)

    @property
    def scope(self) -> str:
        """The jail."""
        return self.jail

    @property
    def what(self) -> tuple[str, str]:
        """Type and what is attached."""
        _jail, type_, rest = self.name.split(":", 2)
        return type_, rest

    def needs(self) -> frozenset[Ref]:
        """The running jail."""
        return frozenset({Ref("jail", self.jail)} if self.jail else ())

    def provider(self) -> Ref | None:
        """Starting the jail makes it."""
        return Ref("jail", self.jail) if self.jail else None


@dataclass(frozen=True, slots=True)
class Attach(Action):
    """Put back one attachment."""

    @property
    def phase(self) -> Phase:
        """While the jail runs."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        wanted = self.subject
        assert isinstance(wanted, Attachment)
        type_, rest = wanted.what
        verbs = {"alias": "add address", "gateway": "add address", "member": "join bridge", "pf": "load pf anchor"}
        return f"{verbs[type_]} {rest.replace('|', ' ')} again"

    def apply(self, site: Site) -> None:
        """Do it."""
        wanted = self.subject
        assert isinstance(wanted, Attachment)
        type_, rest = wanted.what
        if type_ in ("alias", "gateway"):
            interface, _, address = rest.partition("|")
            site.host.network.add_address(interface, address)
        elif type_ == "member":
            bridge, _, interface = rest.partition("/")
            if all(row.name != bridge for row in site.observe("interfaces").interfaces):
                site.host.network.create_bridge(bridge, f"{OURS}{bridge}")
                if wanted.gateway:
                    site.host.network.add_address(bridge, wanted.gateway)
            site.host.network.add_member(bridge, interface)
        else:
            site.host.network.load_anchor(rest, wanted.rules)


def want(desired: Desired) -> Iterable[Attachment]:
    """The attachments of each running jail, and the gateways of the bridges that are there."""
    bridges = _bridges(desired.seen)
    gateways: dict[str, None] = {}
    for name, allocation in desired.allocated.items():
        if allocation.jail is None:
            continue
        network = desired.specs.jails[name].doc.network
        for item in network.addresses:
            yield Attachment(f"{name}:alias:{item.interface}|{item.address}", name)
        if network.vnet is not None and network.vnet.bridge is not None:
            outer = names(desired.place.hostid, name).outer
            gateway = _gateway(network.vnet)
            yield Attachment(f"{name}:member:{network.vnet.bridge}/{outer}", name, gateway=gateway)
            if gateway and network.vnet.bridge in bridges:
                gateways[f":gateway:{network.vnet.bridge}|{gateway}"] = None
        rules = allocation.config.content.get("pf.conf", (0, ""))[1]
        if rules:
            yield Attachment(f"{name}:pf:reconciler/{name}", name, rules=rules)
    yield from (Attachment(name) for name in gateways)


def _gateway(vnet: Vnet) -> str:
    """The address that a bridge of ours has for a jail, with the jail's prefix length; "" for none."""
    return f"{vnet.gateway}/{ip_interface(vnet.fixed).network.prefixlen}" if vnet.gateway and vnet.fixed else ""


def _bridges(seen: Seen) -> dict[str, tuple[str, ...]]:
    """The addresses of the bridges that we made, by name."""
    return {i.name: i.addresses for i in seen.observed.interfaces if i.description == f"{OURS}{i.name}"}


def have(seen: Seen) -> Iterable[Attachment]:
    """What running jails of ours have; an alias counts for the jail whose address it is."""
    live = seen.place.folder("live/")
    running = [(row, _own(row)) for row in seen.observed.jails if row.path == live + row.name]
    aliases, members = _by_address(seen, {bare for _, own in running for bare in own}), _by_member(seen)
    for row, own in running:
        for bare in sorted(own):
            for alias in aliases.get(bare, ()):
                yield Attachment(f"{row.name}:alias:{alias}", row.name)
        outer = names(seen.place.hostid, row.name).outer if members else ""
        for bridge in members.get(outer, ()):
            yield Attachment(f"{row.name}:member:{bridge}/{outer}", row.name)
        if f"reconciler/{row.name}" in seen.observed.firewall:
            yield Attachment(f"{row.name}:pf:reconciler/{row.name}", row.name)
    for bridge, addresses in _bridges(seen).items():
        yield from (Attachment(f":gateway:{bridge}|{address}") for address in addresses)


def _own(row: JailRow) -> set[str]:
    """The addresses of a running jail, without prefix length."""
    return {a for key in ("ip4.addr", "ip6.addr") for a in _addresses(row.parameters.get(key, ()))}


def _by_address(seen: Seen, asked: set[str]) -> dict[str, list[str]]:
    """`INTERFACE|ADDRESS` by address without prefix length. One pass: jails are many, and so are addresses."""
    found: dict[str, list[str]] = {}
    for interface in seen.observed.interfaces:
        for address in interface.addresses:
            bare = address.partition("/")[0]
            if bare in asked:
                found.setdefault(bare, []).append(f"{interface.name}|{address}")
    return found


def _by_member(seen: Seen) -> dict[str, list[str]]:
    """The bridges that each interface is a member of."""
    found: dict[str, list[str]] = {}
    for interface in {row.name: row for row in seen.observed.interfaces}.values():
        for member in interface.members:
            found.setdefault(member, []).append(interface.name)
    return found


def _addresses(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else tuple(filter(None, value.split(",")))


def steps(before: Attachment | None, after: Attachment | None) -> Iterable[Action]:
    """Put back what is missing; what the stop hooks take away is theirs."""
    if before is None and after is not None:
        yield Attach(before, after)


def span(resource: Attachment, desired: Desired) -> Span | None:
    """The network of the spec; of a bridge's own address, that of the first jail which asks for it."""
    if not resource.jail:
        bridge = resource.what[1].partition("|")[0]
        stacks = ((one, one.doc.network.vnet) for _name, one in sorted(desired.specs.jails.items()))
        found = (one for one, vnet in stacks if vnet is not None and vnet.gateway and vnet.bridge == bridge)
        return next((one.place(("network", "vnet", "gateway")) for one in found), None)
    sourced = desired.specs.jails.get(resource.jail)
    return sourced.place(("network",)) if sourced else None


KIND = Kind(Attachment, want, have, steps, frozenset({"interfaces", "firewall", "jails"}), drift="network", span=span)
