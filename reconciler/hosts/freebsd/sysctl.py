"""sysctl(8): what the host is."""

from __future__ import annotations

from reconciler.hosts.freebsd.failure import failed, lines, unreadable
from reconciler.model.command import Completed
from reconciler.model.ports import Facts

NAMES = (
    "kern.ostype",
    "kern.osrelease",
    "kern.osreldate",
    "kern.hostname",
    "kern.hostuuid",
    "hw.machine",
    "hw.machine_arch",
    "kern.securelevel",
    "kern.racct.enable",
    "net.inet.ip.forwarding",
    "net.inet6.ip6.forwarding",
    "kern.features.vimage",
    "security.jail.param",
)

_PARAMETER = "security.jail.param."
# sysctl(8) does not print opaque values, and the address lists are such.
_OPAQUE = {"ip4": "ip4.addr", "ip6": "ip6.addr"}


def query() -> tuple[str, ...]:
    """Ask for all of NAMES. A name that this kernel lacks is an error line; the others are still printed."""
    return ("sysctl", *NAMES)


def parse_query(completed: Completed, features: dict[str, bool]) -> Facts:
    """The facts; `features` that are known from elsewhere are put beside those of sysctl."""
    values: dict[str, str] = {}
    for line in lines(completed.stdout):
        name, colon, value = line.partition(": ")
        values[name if colon else name.removesuffix(":")] = value
    if "kern.osreldate" not in values:
        raise failed(completed) if completed.status else unreadable(completed, "kern.osreldate is not there")
    names = {name.removeprefix(_PARAMETER).removesuffix(".") for name in values if name.startswith(_PARAMETER)}
    names |= {_OPAQUE[name] for name in names & _OPAQUE.keys()}
    met = {
        "racct": values.get("kern.racct.enable") == "1",
        "forwarding": values.get("net.inet.ip.forwarding") == "1",
        "forwarding6": values.get("net.inet6.ip6.forwarding") == "1",
        "vimage": values.get("kern.features.vimage") == "1",
    }
    try:
        return Facts(
            values.get("kern.hostname", ""),
            values.get("kern.hostuuid", ""),
            values.get("kern.osrelease", ""),
            int(values["kern.osreldate"]),
            values.get("hw.machine", ""),
            values.get("hw.machine_arch", ""),
            int(values.get("kern.securelevel", "-1")),
            met | features,
            frozenset(names),
        )
    except ValueError as error:
        raise unreadable(completed, str(error)) from error
