"""jail(8) parameters: which exist, and which the documents set through a field of their own.

Names are `sysctl security.jail.param` of FreeBSD 15.1 and the pseudo-parameters of jail(8).
"""

from __future__ import annotations

import re

_OWN_KEY = re.compile(r"(?:env|meta)\.[A-Za-z_][A-Za-z0-9_]{0,63}\Z")

_ALLOW = (
    "adjtime chflags extattr mlock mount mount.devfs mount.fdescfs mount.fusefs mount.linprocfs mount.linsysfs "
    "mount.nullfs mount.p9fs mount.procfs mount.tmpfs mount.zfs nfsd quotas raw_sockets read_msgbuf reserved_ports "
    "routing set_hostname setaudit settime socket_af suser sysvipc unprivileged_parent_tampering "
    "unprivileged_proc_debug vmm"
)
SETTABLE = frozenset(
    {f"allow.{name}" for name in _ALLOW.split()}
    | {
        "children.max",
        "enforce_statfs",
        "env",
        "exec.fib",
        "exec.jail_user",
        "exec.start",
        "exec.stop",
        "exec.system_jail_user",
        "exec.system_user",
        "exec.timeout",
        "host.domainname",
        "host.hostid",
        "ip4.saddrsel",
        "ip6.saddrsel",
        "linux",
        "linux.osname",
        "linux.osrelease",
        "linux.oss_version",
        "meta",
        "securelevel",
        "stop.timeout",
        "sysvmsg",
        "sysvsem",
        "sysvshm",
        "zfs.mount_snapshot",
    }
)

_HOOKS = "a STAGE of the Makejail, such as STAGE start"
_MOUNTS = "`mounts:` or `volumes:`"
_OURS = "nothing: the tool sets it"
_NETWORK = "`network:`"

# Parameters that a field sets, or that the tool keeps for itself, with what to write instead.
RESERVED = {
    "name": "`name:`",
    "path": _OURS,
    "jid": _OURS,
    "parent": _OURS,
    "dying": _OURS,
    "persist": _OURS,
    "host.hostname": "`hostname:`",
    "host.hostuuid": _OURS,
    "ip_hostname": "`hostname:`",
    "host": "`hostname:`",
    "ip4": _NETWORK,
    "ip6": _NETWORK,
    "ip4.addr": "`network: {addresses: [...]}`",
    "ip6.addr": "`network: {addresses: [...]}`",
    "interface": _NETWORK,
    "vnet": "`network: {vnet: ...}`",
    "devfs_ruleset": "`devfs_ruleset:`",
    "depend": "`depends_on:`",
    "command": _HOOKS,
    "osrelease": "`release:`",
    "osreldate": "`release:`",
    "mount": _MOUNTS,
    "children.cur": _OURS,
    "cpuset.id": "a STAGE of the Makejail that runs cpuset(1): it can only be read",
    "allow.dying": _OURS,
    "zfs.dataset": "`volumes:`",
}
RESERVED_BELOW = {
    "exec.": _HOOKS,
    "mount.": _MOUNTS,
    "vnet.": "`network: {vnet: ...}`",
}


def reserved(name: str) -> str | None:
    """What to write instead of a parameter that is not free to set, or None."""
    if name in RESERVED or free(name):
        return RESERVED.get(name)
    return next((instead for start, instead in RESERVED_BELOW.items() if name.startswith(start)), None)


def free(name: str) -> bool:
    """Whether a parameter may be set: a known one, or a key of the jail's own `env.` or `meta.`."""
    return name in SETTABLE or bool(_OWN_KEY.match(name))


def negated(name: str) -> str | None:
    """The parameter that a `no` form turns off: allow.nomount -> allow.mount, novnet -> vnet."""
    head, dot, last = name.rpartition(".")
    if last.startswith("no") and (plain := head + dot + last[2:]) in SETTABLE | RESERVED.keys():
        return plain
    return None
