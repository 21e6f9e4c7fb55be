"""How a jail reaches the network, as its document says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Address, Bool, Int, Interface, InterfaceAddress, Mac, Model

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
    """A network stack of the jail's own, joined to a bridge by an epair."""

    bridge: Interface = Field(description="Bridge on the host; made and described as ours when it does not exist.")
    address: InterfaceAddress = Field(description="Address with prefix length, such as 10.77.0.2/24.")
    gateway: Address | None = Field(default=None, description="Default route; our bridge gets this address.")
    mac: Mac | None = Field(default=None, description="MAC address of the jail's end; derived when absent.")
    nat: Bool = Field(default=False, description="Translate what leaves the host from this jail (pf nat).")
    expose: tuple[Expose, ...] = Field(default=(), description="Ports of the host that lead here (pf rdr).")


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
