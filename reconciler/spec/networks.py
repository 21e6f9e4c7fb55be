"""How a jail reaches the network, as its document says it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Address, Bool, Int, Interface, InterfaceAddress, Mac, Model, VnetAddress

WAYS = frozenset({"dhcp", "slaac"})
"""What `address` may be instead of one: the network gives it."""
Port = Annotated[Int, Field(ge=1, le=65535)]


class Expose(Model):
    """A port of the host that leads to a port of the jail (pf rdr)."""

    host: Port = Field(description="Port on the host.")
    jail: Port | None = Field(default=None, description="Port in the jail; the same when absent.")
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="tcp or udp.")
    interface: Interface | None = Field(
        default=None, description="Host interface; the Host document's `external` when absent."
    )


class Vnet(Model):
    """A network stack of the jail's own: joined to a bridge by an epair, or with an interface of the host."""

    bridge: Interface | None = Field(
        default=None, description="Bridge on the host; made and described as ours when it does not exist."
    )
    interface: Interface | None = Field(
        default=None, description="Interface of the host that the jail has for itself while it runs, instead of bridge."
    )
    address: VnetAddress = Field(
        description="Address with prefix length, such as 10.77.0.2/24; or dhcp, or slaac: the network gives one."
    )
    gateway: Address | None = Field(default=None, description="Default route; our bridge gets this address.")
    mac: Mac | None = Field(default=None, description="MAC address of the jail's end; derived when absent.")
    nat: Bool = Field(default=False, description="Translate what leaves the host from this jail (pf nat).")
    expose: tuple[Expose, ...] = Field(default=(), description="Ports of the host that lead here (pf rdr).")

    @property
    def fixed(self) -> str | None:
        """The address, where the document says it."""
        return None if self.address in WAYS else self.address


class InterfaceIp(Model):
    """An address on an interface of the host, shared with the jail."""

    interface: Interface = Field(description="Interface of the host, such as vtnet0 or lo1.")
    address: InterfaceAddress = Field(description="Address with prefix length; it is added at start, removed at stop.")


class NetworkSpec(Model):
    """How the jail reaches the network; at most one of inherit, addresses and vnet."""

    inherit: Bool = Field(default=False, description="Use the host's stack and addresses.")
    addresses: tuple[InterfaceIp, ...] = Field(default=(), description="Addresses on interfaces of the host.")
    vnet: Vnet | None = Field(default=None, description="A stack of its own on a bridge.")
    resolver: tuple[Address, ...] | None = Field(
        default=None, description="Name servers of /etc/resolv.conf; the host's when absent."
    )


class BuildVnet(Model):
    """The network stack that each build jail has for itself, with `network: vnet`."""

    bridge: Interface = Field(
        description="Bridge on the host; made when it does not exist, and removed after the builds unless jails use it."
    )
    address: InterfaceAddress = Field(
        description="First address of build jails, as 10.78.0.10/24; builds at the same time get those that follow."
    )
    gateway: Address | None = Field(default=None, description="Default route; a bridge of ours gets this address.")
    nat: Bool = Field(default=False, description="Translate what leaves the host from build jails (pf nat).")
    resolver: tuple[Address, ...] | None = Field(
        default=None, description="Name servers while something is built; the host's when absent."
    )


def addresses_from(address: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    """An address (10.78.0.10/24) and the last one of its subnet that an interface can have."""
    own = ip_interface(address)
    last = own.network.broadcast_address
    spare = own.version == 4 and own.network.prefixlen < 31
    return own.ip, last - 1 if spare else last
