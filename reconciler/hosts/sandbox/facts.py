"""What is true of the sandbox host: its sysctl values, loaded modules and switches."""

from __future__ import annotations

import uuid
from typing import Any

from reconciler.hosts.sandbox.machine import Machine

RELEASE = "15.1-RELEASE"
_FIRST: dict[str, Any] = {
    "kern.osrelease": RELEASE, "kern.osreldate": 1501000, "kern.ostype": "FreeBSD",
    "kern.hostname": "sandbox", "kern.hostid": 0, "kern.version": f"FreeBSD {RELEASE} SANDBOX",
    "kern.ident": "SANDBOX", "kern.racct.enable": 1, "kern.securelevel": -1, "kern.features.vimage": 1,
    "kern.features.racct": 1, "kern.features.rctl": 1, "kern.features.zfs": 1, "kern.bootfile": "/boot/kernel/kernel",
    "kern.maxfiles": 262144, "kern.maxproc": 8192,
    "hw.machine": "amd64", "hw.machine_arch": "amd64", "hw.ncpu": 2, "hw.physmem": 4294967296,
    "net.inet.ip.forwarding": 1, "net.inet6.ip6.forwarding": 1, "net.link.bridge.pfil_member": 1,
    "net.link.bridge.pfil_bridge": 1, "vfs.zfs.version.spa": 5000, "vfs.usermount": 0,
    "security.jail.jailed": 0, "security.jail.vnet": 0, "security.jail.children.max": 999999,
    "security.jail.enforce_statfs": 2, "security.jail.devfs_ruleset": 0,
    "security.jail.meta_maxbufsize": 4096, "security.jail.set_hostname_allowed": 1,
    "security.jail.jail_max_af_ips": 255, "security.jail.env": "",
    # Switches of the simulation, not sysctls.
    "modules": ["kernel", "zfs.ko", "if_bridge.ko", "if_epair.ko", "pf.ko", "nullfs.ko", "fdescfs.ko"],
    "pf.enabled": True, "pf.anchors_called": True,
}  # fmt: skip
READ_ONLY = frozenset({
    "kern.osrelease", "kern.osreldate", "kern.ostype", "kern.version", "kern.ident", "kern.racct.enable",
    "hw.machine", "hw.machine_arch", "hw.ncpu", "hw.physmem", "security.jail.jailed", "security.jail.vnet",
    "vfs.zfs.version.spa", "kern.features.vimage", "kern.features.racct", "kern.features.rctl",
    "kern.features.zfs", "security.jail.children.max",
})  # fmt: skip


def fact(machine: Machine, name: str, default: Any = None) -> Any:
    """The value under `name`; `kern.hostuuid` is drawn once per sandbox, inside a transaction."""
    table = machine.state.table("facts")
    if name in table:
        return table[name]
    if name == "kern.hostuuid":
        set_fact(machine, name, str(uuid.uuid4()))
        return table[name]
    return _FIRST.get(name, default)


def set_fact(machine: Machine, name: str, value: Any) -> None:
    """Change one fact, inside a transaction."""
    machine.state.table("facts")[name] = value
    machine.state.touch("facts", name)


def loaded(machine: Machine, module: str) -> bool:
    """Whether a kernel module is there; none at all is."""
    return not module or f"{module}.ko" in fact(machine, "modules")


def load(machine: Machine, module: str) -> None:
    """Load a kernel module, inside a transaction."""
    if not loaded(machine, module):
        set_fact(machine, "modules", [*fact(machine, "modules"), f"{module}.ko"])


def names(machine: Machine) -> list[str]:
    """Every sysctl name that has a value, sorted."""
    own = set(_FIRST) | set(machine.state.table("facts")) | {"kern.hostuuid"}
    return sorted(n for n in own if n.startswith(("kern.", "hw.", "net.", "security.", "vfs.", "vm.")))
