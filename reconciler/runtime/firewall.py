"""The pf rules of a jail, loaded into its anchor `reconciler/NAME` (pf.conf(5)).

The host's own pf.conf calls them with `nat-anchor "reconciler/*"` and `rdr-anchor "reconciler/*"`.
"""

from __future__ import annotations

import ipaddress

from reconciler.runtime.runtime import Runtime


def anchor(jail: str) -> str:
    """The anchor of a jail."""
    return f"reconciler/{jail}"


def rules(runtime: Runtime) -> str:
    """Translation rules; empty when the jail has neither nat nor exposed ports.

    A redirection takes only what is addressed to the host's interface, never what is only routed
    through it.
    """
    vnet = runtime.vnet
    if vnet is None or vnet.fixed is None:
        return ""
    address = ipaddress.ip_interface(vnet.fixed)
    family, outside = ("inet", ":0") if address.version == 4 else ("inet6", "")
    lines = []
    if vnet.nat:
        lines.append(f"nat on {runtime.external} {family} from {address.ip} to any -> ({runtime.external}{outside})")
    for port in vnet.expose:
        interface = port.interface or runtime.external
        lines.append(
            f"rdr pass on {interface} {family} proto {port.protocol} from any to ({interface})"
            f" port {port.host} -> {address.ip} port {port.jail or port.host}"
        )
    return "".join(f"{line}\n" for line in lines)
