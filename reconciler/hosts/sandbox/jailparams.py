"""Kernel parameters of a jail: their names, kinds, first values, and what may be written to them.

The list is the tree `security.jail.param` of FreeBSD 15.1; see jail(8).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from reconciler.hosts.sandbox.answer import Refusal

JAILSYS = ("disable", "new", "inherit")
UUID_NONE = "00000000-0000-0000-0000-000000000000"

# One letter per kind: b boolean, n number, s string, j jailsys, a addresses, m meta; then the first value.
_FIRST: dict[str, tuple[str, Any]] = {
    "devfs_ruleset": ("n", "0"), "dying": ("b", False), "enforce_statfs": ("n", "2"), "env": ("m", ""),
    "host": ("j", "new"), "ip4": ("j", "disable"), "ip6": ("j", "disable"), "jid": ("n", "0"),
    "meta": ("m", ""), "name": ("s", ""), "osreldate": ("n", "1501000"), "osrelease": ("s", ""),
    "parent": ("n", "0"), "path": ("s", "/"), "persist": ("b", False), "securelevel": ("n", "-1"),
    "sysvmsg": ("j", "disable"), "sysvsem": ("j", "disable"), "sysvshm": ("j", "disable"),
    "vnet": ("j", "inherit"), "zfs": ("j", "new"),
    **{f"allow.{name}": ("b", False) for name in (
        "adjtime", "chflags", "extattr", "mlock", "mount", "mount.devfs", "mount.fdescfs", "mount.nullfs",
        "mount.p9fs", "mount.procfs", "mount.tmpfs", "mount.zfs", "nfsd", "quotas", "raw_sockets",
        "read_msgbuf")},
    "allow.reserved_ports": ("b", True), "allow.routing": ("b", False), "allow.set_hostname": ("b", True),
    "allow.setaudit": ("b", False), "allow.settime": ("b", False), "allow.socket_af": ("b", False),
    "allow.suser": ("b", True), "allow.sysvipc": ("b", False),
    "allow.unprivileged_parent_tampering": ("b", False), "allow.unprivileged_proc_debug": ("b", True),
    "children.cur": ("n", "0"), "children.max": ("n", "0"), "cpuset.id": ("n", "0"),
    "host.domainname": ("s", ""), "host.hostid": ("n", "0"), "host.hostname": ("s", ""),
    "host.hostuuid": ("s", UUID_NONE), "ip4.addr": ("a", []), "ip4.saddrsel": ("b", True),
    "ip6.addr": ("a", []), "ip6.saddrsel": ("b", True), "zfs.mount_snapshot": ("n", "0"),
    **{f"allow.mount.{name}": ("b", False) for name in ("fusefs", "linprocfs", "linsysfs")},
    "linux": ("j", "inherit"), "linux.osname": ("s", "Linux"), "linux.osrelease": ("s", "5.15.0"),
    "linux.oss_version": ("n", "198144"),
}  # fmt: skip
ORDER = tuple(_FIRST)
KINDS = {name: kind for name, (kind, _) in _FIRST.items()}
# Shown only where the module that they speak of is loaded; libjail loads it for whoever names one (jail.c,
# kldload_param).
MODULE_PARAMS = {
    **{f"allow.mount.{name}": name for name in ("fdescfs", "fusefs", "linprocfs", "linsysfs", "nullfs")},
    **dict.fromkeys(("linux", "linux.osname", "linux.osrelease", "linux.oss_version"), "linux"),
}
READ_ONLY = frozenset({"dying", "parent", "children.cur", "cpuset.id"})
FIXED = frozenset({"path", "vnet", "osrelease", "osreldate", "host", "ip4.saddrsel", "ip6.saddrsel"})
LIMITS = {"name": 255, "host.hostname": 255, "host.domainname": 255, "host.hostuuid": 63, "osrelease": 31}

# What jail(8) itself acts upon; the kernel never sees these.
PSEUDO_BOOL = frozenset({
    "exec.clean", "mount.devfs", "mount.fdescfs", "mount.procfs", "allow.dying", "vnet.new",
    "ip_hostname",
})  # fmt: skip
PSEUDO_LIST = frozenset({
    "exec.prepare", "exec.prestart", "exec.created", "exec.start", "command", "exec.poststart",
    "exec.prestop", "exec.stop", "exec.poststop", "exec.release", "mount", "depend", "vnet.interface",
    "zfs.dataset",
})  # fmt: skip
PSEUDO = PSEUDO_BOOL | PSEUDO_LIST | {
    "exec.consolelog", "exec.fib", "exec.jail_user", "exec.system_jail_user", "exec.system_user",
    "exec.timeout", "interface", "mount.fstab", "stop.timeout", "exec.jail_env",
}  # fmt: skip
_BOOLEAN_WORDS = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def first_values(osrelease: str) -> dict[str, Any]:
    """The parameters of a jail about which nothing was said."""
    values = {name: list(value) if kind == "a" else value for name, (kind, value) in _FIRST.items()}
    values["osrelease"] = osrelease
    return values


def positive(name: str) -> tuple[str, bool]:
    """The parameter's own name, and False when `name` is its negation (`allow.noraw_sockets`)."""
    if name in KINDS or name in PSEUDO:
        return name, True
    head, dot, tail = name.rpartition(".")
    if tail.startswith("no"):
        own = head + dot + tail[2:]
        if KINDS.get(own) in ("b", "j") or own in PSEUDO_BOOL:
            return own, False
    return name, True


def known(name: str) -> bool:
    """Whether jail(8) would take a parameter of this name."""
    own = positive(name)[0]
    return own in KINDS or own in PSEUDO or own.startswith(("meta.", "env."))


def parse(name: str, value: str | None) -> tuple[str, Any]:
    """The kernel parameter and typed value that `name[=value]` sets; raises Refusal as jail(8) words it."""
    own, plain = positive(name)
    if own.startswith(("meta.", "env.")):
        return own, value or ""
    kind = KINDS[own]
    if kind == "b":
        if value is None:
            return own, plain
        if value.lower() not in _BOOLEAN_WORDS:
            raise Refusal(f'{own}: not a boolean value: "{value}"')
        return own, _BOOLEAN_WORDS[value.lower()] is plain
    if kind == "j":
        return own, _jailsys(own, value, plain)
    if value is None:
        raise Refusal(f"{own}: value required")
    if kind == "a":
        return own, _addresses(own, value)
    if kind == "n":
        if not value.lstrip("-").isdigit():
            raise Refusal(f'{own}: non-integer value "{value}"')
        return own, str(int(value))
    if len(value) > LIMITS.get(own, 1023):
        raise Refusal("jail_set: File name too long")
    return own, value


def _jailsys(own: str, value: str | None, plain: bool) -> str:
    if value is None:
        return "new" if plain else "disable"
    if value in JAILSYS:
        return value
    raise Refusal(f'{own}: unknown jailsys value "{value}"')


def _addresses(own: str, value: str) -> list[str]:
    version = 4 if own == "ip4.addr" else 6
    found = []
    for word in filter(None, value.split(",")):
        text = word.rpartition("|")[2].split()[0].partition("/")[0]
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            address = None
        if address is None or address.version != version:
            raise Refusal(f"{own}: not an IPv{version} address: {text}")
        if str(address) not in found:
            found.append(str(address))
    return found


def assign(values: dict[str, Any], own: str, value: Any) -> None:
    """Write one parsed parameter; single keys of meta and env are merged into their text."""
    for store in ("meta", "env"):
        if own.startswith(store + "."):
            key = own[len(store) + 1 :]
            lines = [line for line in values[store].split("\n") if line and line.partition("=")[0] != key]
            values[store] = "\n".join([*lines, f"{key}={value}"] if value else lines)
            if len(values[store]) >= 4096:
                raise Refusal("jail_set: File too large")
            return
    values[own] = value
    # An address of its own means an address space of its own; it is shown as the kernel shows it.
    if own in ("ip4", "ip6") and value != "new":
        values[f"{own}.addr"] = []


def lookup(values: dict[str, Any], name: str) -> Any:
    """The value that jls(8) shows for `name`, which may be one key of meta or env."""
    for store in ("meta", "env"):
        if name.startswith(store + "."):
            wanted = name[len(store) + 1 :]
            pairs = (line.partition("=") for line in values[store].split("\n"))
            return next((value for key, _, value in pairs if key == wanted), "")
    return values.get(name, _FIRST[name][1])
