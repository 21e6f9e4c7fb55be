"""ifconfig(8) and pfctl(8): argument vectors, parsers, and the Network facet."""

from __future__ import annotations

from reconciler.hosts.freebsd.failure import lines, run, text, unreadable
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.ports import InterfaceRow

ANCHOR = "reconciler"
"""The anchor below which all of our pf rules lie."""


def interfaces() -> tuple[str, ...]:
    """List all interfaces; ifconfig has no machine-readable form."""
    return ("ifconfig", "-a")


def parse_interfaces(completed: Completed) -> tuple[InterfaceRow, ...]:
    """The interfaces of `ifconfig -a`. Netmasks come in hexadecimal, scopes of inet6 addresses are cut off."""
    rows: list[InterfaceRow] = []
    block: list[str] = []
    try:
        for line in lines(completed.stdout):
            if line[0] not in "\t ":
                rows.extend(_interface(block))
                block = []
            block.append(line)
        rows.extend(_interface(block))
    except (ValueError, IndexError) as error:
        raise unreadable(completed, f"{type(error).__name__}: {error}") from error
    return tuple(rows)


def _interface(block: list[str]) -> list[InterfaceRow]:
    if not block:
        return []
    name, _, rest = block[0].partition(": flags=")
    flags = frozenset(filter(None, rest.partition("<")[2].partition(">")[0].split(",")))
    addresses, members, groups = [], [], frozenset[str]()
    ether = description = ""
    for line in block[1:]:
        words = line.split()
        match words[0]:
            case "inet" | "inet6":
                addresses.append(_address(words))
            case "ether":
                ether = words[1]
            case "description:":
                description = line.partition(": ")[2]
            case "groups:":
                groups = frozenset(words[1:])
            case "member:":
                members.append(words[1])
            case _:
                pass
    return [InterfaceRow(name, flags, tuple(addresses), ether, description, groups, tuple(members))]


def _address(words: list[str]) -> str:
    address = words[1].partition("%")[0]
    if "/" in address:
        return address
    if "prefixlen" in words:
        return f"{address}/{int(words[words.index('prefixlen') + 1])}"
    return f"{address}/{int(words[words.index('netmask') + 1], 16).bit_count()}"


def rules() -> tuple[str, ...]:
    """Print the translation rules of pf's main ruleset.

    Not `-a '*'`: how pfctl(8) goes down into an anchor that is called as `reconciler/*` differs between versions,
    and some stumble over the star (pfctl_show_nat of sbin/pfctl/pfctl.c).
    """
    return ("pfctl", "-s", "nat")


def parse_called(completed: Completed) -> bool:
    """Whether the main ruleset calls our anchor."""
    for line in lines(completed.stdout):
        words = line.split()
        if words[0] in {"nat-anchor", "rdr-anchor"} and len(words) > 1:
            name = words[1].strip('"').removesuffix("/*")
            if name in {ANCHOR, "*"}:
                return True
    return False


def anchors() -> tuple[str, ...]:
    """Name all anchors of pf, whoever loaded them. The kernel forgets one that has lost its last rule."""
    return ("pfctl", "-v", "-s", "Anchors")


def parse_anchors(completed: Completed) -> frozenset[str]:
    """The anchors below ours, by their whole names."""
    names = {line.strip() for line in lines(completed.stdout)}
    return frozenset(name for name in names if name.startswith(f"{ANCHOR}/"))


def family(address: str) -> str:
    """The address family of an address as ifconfig names it."""
    return "inet6" if ":" in address else "inet"


class HostNetwork:
    """The Network facet. Every method raises HostError when the command fails."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def _ifconfig(self, *words: str) -> None:
        run(self._runner, Command(("ifconfig", *words)), "network-failed", "A network change failed")

    def create_bridge(self, name: str, description: str) -> None:
        """Make a bridge with a description that says it is ours.

        The description comes with it: it marks the bridge as ours even if the renaming fails. One that has its name
        is complete.
        """
        made = self._created("bridge", description)
        if made != name:
            self._ifconfig(made, "name", name)

    def create_epair(self, description: str) -> str:
        """Make an epair; the name of its end `a`, which is described and up. The other ends in `b`."""
        return self._created("epair", description)

    def describe(self, interface: str, description: str) -> None:
        """Describe an interface anew."""
        self._ifconfig(interface, "description", description)

    def _created(self, driver: str, description: str) -> str:
        """One command: a kill between two would leave what nobody can tell from a stranger's."""
        command = Command(("ifconfig", driver, "create", "description", description, "up"))
        return text(run(self._runner, command, "network-failed", "A network change failed").stdout).strip()

    def destroy(self, interface: str) -> None:
        """Destroy a cloned interface; of an epair both halves go."""
        self._ifconfig(interface, "destroy")

    def add_member(self, bridge: str, interface: str) -> None:
        """Join an interface to a bridge."""
        self._ifconfig(bridge, "addm", interface)

    def add_address(self, interface: str, address: str) -> None:
        """Add an address with its prefix, `10.77.0.1/24`."""
        self._ifconfig(interface, family(address), address, "alias")

    def remove_address(self, interface: str, address: str) -> None:
        """Remove an address; its prefix does not matter."""
        self._ifconfig(interface, family(address), address.partition("/")[0], "-alias")

    def load_anchor(self, anchor: str, rules: str) -> None:
        """Replace the rules of a pf anchor. pfctl checks all of them before it changes anything."""
        stdin = rules.encode()
        run(self._runner, Command(("pfctl", "-a", anchor, "-f", "-"), stdin=stdin), "pf-failed", "pf refused rules")

    def flush_anchor(self, anchor: str) -> None:
        """Remove all rules of a pf anchor."""
        run(self._runner, Command(("pfctl", "-a", anchor, "-F", "all")), "pf-failed", "pf refused a change")


def unavailable(completed: Completed) -> bool:
    """Whether pfctl says that there is no pf, or there is no pfctl."""
    return completed.status == 127 or (completed.status != 0 and "/dev/pf" in text(completed.stderr))
