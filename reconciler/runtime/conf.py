"""jail.conf of one jail: parameters and hooks, in the order of jail(8)'s own start sequence.

Each jail has a file of its own, so that a broken one stops only its own jail. `depend` is not used:
it does not work across files; order is the business of rc.d/reconciler_jails.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from reconciler.runtime.quote import conf as quoted
from reconciler.runtime.quote import words
from reconciler.runtime.runtime import Runtime
from reconciler.spec.document import Vnet

_RELEASE = re.compile(r"^(\d+)\.(\d+)")
DEFAULT_START = "/bin/sh /etc/rc"
DEFAULT_STOP = "/bin/sh /etc/rc.shutdown jail"
DEFAULT_TIMEOUT = 900
"""Seconds after which jail(8) waits for a hook no longer: its start or stop has failed. It ends no process for that.

Without a limit, a start that hangs would keep the host from finishing its boot."""


@lru_cache(maxsize=64)
def osreldate(release: str) -> int:
    """__FreeBSD_version of a release: 15.1 -> 1501000. ValueError when `release` is none."""
    match = _RELEASE.match(release)
    if not match:
        raise ValueError(f"not a release: {release!r}")
    return int(match[1]) * 100000 + int(match[2]) * 1000


def negated(parameter: str) -> str:
    """jail(8)'s name for a false boolean: allow.mount -> allow.nomount."""
    head, dot, last = parameter.rpartition(".")
    return f"{head}{dot}no{last}"


def _identity(runtime: Runtime) -> list[str]:
    jail = runtime.jail
    lines = [
        f"path = {quoted(runtime.live)};",
        f"host.hostname = {quoted(jail.hostname or jail.name)};",
        f"host.hostuuid = {quoted(runtime.names.hostuuid)};",
    ]
    known = runtime.osrelease and runtime.host_osrelease
    if known and osreldate(runtime.osrelease) < osreldate(runtime.host_osrelease):
        lines += [f"osrelease = {quoted(runtime.osrelease)};", f"osreldate = {osreldate(runtime.osrelease)};"]
    return lines


def _network(runtime: Runtime) -> list[str]:
    network = runtime.jail.network
    if network.vnet:
        return ["vnet;", f"vnet.interface = {quoted(network.vnet.interface or runtime.names.inner)};"]
    if network.inherit:
        return ['ip4 = "inherit";', 'ip6 = "inherit";']
    lines = []
    for version in (4, 6):
        entries = [
            quoted(f"{entry.interface}|{entry.address}")
            for entry in network.addresses
            if (6 if ":" in entry.address else 4) == version
        ]
        if entries:
            lines.append(f"ip{version}.addr = {', '.join(entries)};")
    return lines


_ASKED: Mapping[str, Callable[[str], tuple[tuple[str, ...], ...]]] = {
    # dhclient(8) goes on in the background, also where nobody answers within a minute.
    "dhcp": lambda interface: (("/sbin/ifconfig", interface, "up"), ("/sbin/dhclient", interface)),
    "slaac": lambda interface: (
        ("/sbin/ifconfig", interface, "inet6", "accept_rtadv", "auto_linklocal", "-ifdisabled", "up"),
        # Without an answer the next advertisement that comes by itself counts.
        ("/bin/sh", "-c", f"/sbin/rtsol {interface} || :"),
    ),
}
"""What asks the network for an address; the names of interfaces need no quoting."""


def vnet_commands(interface: str, vnet: Vnet) -> list[tuple[str, ...]]:
    """What gives the jail's interface its address and default route; run inside, before rc."""
    if vnet.fixed is None:
        return list(_ASKED[vnet.address](interface))
    address = ipaddress.ip_interface(vnet.fixed)
    if address.version == 4:
        commands: list[tuple[str, ...]] = [("/sbin/ifconfig", interface, "inet", vnet.address, "up")]
        route: tuple[str, ...] = ("/sbin/route", "add", "default")
    else:
        commands = [("/sbin/ifconfig", interface, "inet6", vnet.address, "-ifdisabled", "up")]
        route = ("/sbin/route", "add", "-inet6", "default")
    if vnet.gateway:
        commands.append((*route, vnet.gateway))
    return commands


_DAD = "n=0; while [ $n -lt 10 ] && /sbin/ifconfig | /usr/bin/grep -q ' tentative'; do /bin/sleep 1; n=$((n+1)); done"
"""An IPv6 address is of no use until it has been looked for on the network (RFC 4862): daemons could not bind to it."""


def _start_stop(runtime: Runtime) -> list[str]:
    jail = runtime.jail
    vnet = runtime.vnet
    start = [words(argv) for argv in vnet_commands(vnet.interface or runtime.names.inner, vnet)] if vnet else []
    ours = [vnet.address] if vnet else [entry.address for entry in jail.network.addresses]
    if any(":" in address or address == "slaac" for address in ours):
        start.append(_DAD)
    start.append(str(jail.parameters.get("exec.start", DEFAULT_START)))
    stop = str(jail.parameters.get("exec.stop", DEFAULT_STOP))
    lines = [f"exec.start {'+=' if number else '='} {quoted(text)};" for number, text in enumerate(start)]
    return [
        *lines,
        f"exec.stop = {quoted(stop)};",
        f"exec.consolelog = {quoted(f'{runtime.folder}/console.log')};",
    ]


def _parameters(runtime: Runtime) -> list[str]:
    lines = []
    for name, value in sorted({"exec.timeout": DEFAULT_TIMEOUT, **runtime.jail.parameters}.items()):
        if name in ("exec.start", "exec.stop"):
            continue
        if isinstance(value, bool):
            lines.append(f"{name if value else negated(name)};")
        else:
            lines.append(f"{name} = {value if isinstance(value, int) else quoted(value)};")
    return lines


def jail_conf(runtime: Runtime, hooks: tuple[str, ...]) -> str:
    """The text of jail.conf; `hooks` are the exec.* hooks that have a script, such as `prepare`."""
    lines = [*_identity(runtime), "persist;", "exec.clean;"]
    lines.append(f"mount.fstab = {quoted(f'{runtime.folder}/fstab')};")
    lines.append(f"devfs_ruleset = {runtime.devfs_ruleset};")
    lines += [*_network(runtime), *_parameters(runtime)]
    lines += [f"exec.{hook} = {quoted(words(('/bin/sh', f'{runtime.folder}/{hook}.sh')))};" for hook in hooks]
    lines += _start_stop(runtime)
    body = "".join(f"    {line}\n" for line in lines)
    return f"# Made by reconciler; changes are overwritten.\n{runtime.name} {{\n{body}}}\n"
