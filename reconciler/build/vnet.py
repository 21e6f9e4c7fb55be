"""A network stack of a build jail's own: an epair with one end on a bridge, an address, and pf's rule for it.

What is made is described by the place that it is made for, in the command that makes it. So the next run finds what a
killed one left, and two pools of one host do not take each other's for left over.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import InterfaceRow
from reconciler.runtime.conf import vnet_commands
from reconciler.runtime.quote import words
from reconciler.spec.document import Vnet
from reconciler.spec.networks import BuildVnet, addresses_from

MARK = "reconciler build: "
"""How an interface begins to be described that was made for a build; the place follows, and of an epair the address."""
_ONE = threading.Lock()
"""Builds of one run share out addresses, and the last one takes the bridge away."""
_LOOPBACK = ("/sbin/ifconfig", "lo0", "inet", "127.0.0.1/8", "up")


@dataclass(frozen=True, slots=True)
class Stack:
    """What build jails get. `outside` is the interface where their addresses are translated, "" for nowhere.

    `shared`: jails of the specs use the bridge too, so that it is made as theirs are, and stays.
    """

    vnet: BuildVnet
    outside: str = ""
    shared: bool = False


def anchor_of(pool: str, mark: str = "") -> str:
    """The pf anchor of one build, by the mark of its place; what those of a pool begin with when there is none."""
    return f"reconciler/rcb-{hashlib.sha256(pool.encode()).hexdigest()[:8]}-{mark}"


def plug(site: Site, path: str, mark: str, stack: Stack) -> tuple[str, str]:
    """Make all of it but the jail: the end of the epair that goes inside, and its address with prefix length.

    Raises HostError (code `build-addresses-used` among others).
    """
    network, vnet = site.host.network, stack.vnet
    with _ONE:
        rows = site.observe("interfaces").interfaces
        if all(row.name != vnet.bridge for row in rows):
            _make_bridge(site, stack)
        address = _free(rows, vnet)
        outer = network.create_epair(f"{MARK}{path} {address.partition('/')[0]}")
        _join(site, vnet.bridge, outer)
    if stack.outside:
        network.load_anchor(anchor_of(site.pool, mark), _rule(address, stack.outside))
    return f"{outer.removesuffix('a')}b", address


def commands(inner: str, address: str, vnet: BuildVnet) -> str:
    """What is run inside, by sh: no rc does it there."""
    said = Vnet(bridge=vnet.bridge, address=address, gateway=vnet.gateway)
    argvs: Sequence[tuple[str, ...]] = (_LOOPBACK, *vnet_commands(inner, said))
    return "set -e; " + "; ".join(words(argv) for argv in argvs)


def unplug(site: Site, place: str) -> None:
    """Take away what was made for `place`, one build's (`/reconciler/build/0123`) or all of a pool's, and is left."""
    with _ONE:
        seen = site.observe("interfaces", "firewall")
        pairs, bridges = left(seen.interfaces, place, site.mountpoint)
        mark = place.rpartition("/")[2] if place != f"{site.mountpoint}/build" else ""
        own = anchor_of(site.pool, mark)
        for anchor in sorted(a for a in seen.firewall if a == own or (not mark and a.startswith(own))):
            site.host.network.flush_anchor(anchor)
        for interface in (*pairs, *bridges):
            site.host.network.destroy(interface)


def left(rows: Iterable[InterfaceRow], place: str, mountpoint: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The epairs (one end of each) made for `place` or below it; and bridges of builds without any other member."""
    every = tuple(rows)
    begins = (f"{MARK}{place} ", f"{MARK}{place}/")
    pairs = tuple(row.name for row in every if row.description.startswith(begins))
    made = (row for row in every if row.description == f"{MARK}{mountpoint}/build")
    return pairs, tuple(row.name for row in made if not {*row.members} - {*pairs})


def _make_bridge(site: Site, stack: Stack) -> None:
    """Until it has everything, one that jails share is described as a build's: so no kill leaves half a bridge."""
    network, vnet = site.host.network, stack.vnet
    network.create_bridge(vnet.bridge, f"{MARK}{site.mountpoint}/build")
    if vnet.gateway:
        length = vnet.address.partition("/")[2]
        network.add_address(vnet.bridge, f"{vnet.gateway}/{length}")
    if stack.shared:
        network.describe(vnet.bridge, f"reconciler: {vnet.bridge}")


def _join(site: Site, bridge: str, outer: str) -> None:
    """Where devd(8) configures whatever appears, it may have been faster; a member of a bridge has no addresses."""
    network = site.host.network
    try:
        network.add_member(bridge, outer)
    except HostError:
        (row,) = (row for row in site.observe("interfaces").interfaces if row.name == outer)
        if not row.addresses:
            raise
        for address in row.addresses:
            network.remove_address(outer, address)
        network.add_member(bridge, outer)


def _free(rows: Iterable[InterfaceRow], vnet: BuildVnet) -> str:
    """The first address that no other build has, nor the host itself."""
    first, last = addresses_from(vnet.address)
    taken = {vnet.gateway or ""}
    for row in rows:
        taken |= {address.partition("/")[0] for address in row.addresses}
        taken |= {row.description.rpartition(" ")[2]} if row.description.startswith(MARK) else set()
    own = ipaddress.ip_interface(vnet.address)
    for number in range(int(first), int(last) + 1):
        address = str(type(own.ip)(number))
        if address not in taken:
            return f"{address}/{own.network.prefixlen}"
    detail = f"From {first} to {last} every address is in use, most by builds that go on at the same time."
    hint = "Give build.vnet.address of the Host document a wider subnet, or lower --jobs."
    raise HostError(Diagnostic("build-addresses-used", "No address is left for a build jail", detail, hint))


def _rule(address: str, outside: str) -> str:
    ip = ipaddress.ip_interface(address).ip
    family, to = ("inet", f"({outside}:0)") if ip.version == 4 else ("inet6", f"({outside})")
    return f"nat on {outside} {family} from {ip} to any -> {to}\n"
