"""A running jail as jls(8) should show it, from its spec."""

from __future__ import annotations

from ipaddress import ip_interface

from reconciler import runtime
from reconciler.kinds.jail import Jail
from reconciler.kinds.root import Root
from reconciler.spec import document

# Parameters of jail.conf that jls cannot show, so that they are not compared.
UNSHOWN = (
    "exec.", "mount.", "allow.mount.no", "stop.timeout", "interface", "depend", "command", "ip_hostname", "meta", "env",
)  # fmt: skip


def shown_jail(spec: document.Jail, started: str, root: Root, ruleset: int, hostid: str, *, marked: bool) -> Jail:
    """The jail with its parameters, and the root that it runs on. `started` names its configuration.

    `marked`: an operator stopped it.
    """
    shown: dict[str, str] = {
        "host.hostname": spec.hostname or spec.name,
        "host.hostuuid": runtime.names(hostid, spec.name).hostuuid,
        "devfs_ruleset": str(runtime.devfs_ruleset(spec, ruleset)),
        **_shown_network(spec.network),
    }
    for key, value in spec.parameters.items():
        if key.startswith(UNSHOWN):
            continue
        head, _, last = key.rpartition(".")
        if isinstance(value, bool) and last.startswith("no") and head == "allow":
            key, value = f"{head}.{last[2:]}", not value
        shown[key] = str(value).lower() if isinstance(value, bool) else str(value)
    parameters = tuple(sorted(shown.items()))
    return Jail(spec.name, started, root.name, parameters, depends=frozenset(spec.depends_on), marked=marked)


def _shown_network(network: document.NetworkSpec) -> dict[str, str]:
    """What jls shows of it. Not `ip4` beside addresses: the kernel has shown both `new` and `disable` there."""
    if network.vnet:
        return {"vnet": "new"}
    if network.inherit:
        return {"ip4": "inherit", "ip6": "inherit"}
    v4 = [entry.address.partition("/")[0] for entry in network.addresses if ":" not in entry.address]
    v6 = [str(ip_interface(entry.address).ip) for entry in network.addresses if ":" in entry.address]
    return {"ip4.addr": ",".join(v4), "ip6.addr": ",".join(v6)}
