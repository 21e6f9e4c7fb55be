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
    """Print translation rules of pf: those of the main ruleset, and of every anchor it calls, nested."""
    return ("pfctl", "-a", "*", "-s", "nat")


def parse_rules(completed: Completed) -> tuple[dict[str, tuple[str, ...]], bool]:
    """The rules of each anchor of ours by its whole name, and whether the main ruleset calls our anchor.

    An anchor that both a nat-anchor and an rdr-anchor call is printed under each, whole: taken once.
    """
    found: dict[str, dict[str, None]] = {}
    called = False
    path: list[str] = []
    for line in lines(completed.stdout):
        words = line.split()
        opens = words[-1] == "{"
        if words == ["}"]:
            if not path:
                raise unreadable(completed, "a brace closes no anchor")
            path.pop()
        elif words[0] in {"nat-anchor", "rdr-anchor", "binat-anchor"} and len(words) > 1:
            name = words[1].strip('"').removesuffix("/*")
            called = called or (not path and name in {ANCHOR, "*"})
            if opens:
                path.append(name)
                if path[0] == ANCHOR:
                    found.setdefault("/".join(path), {})
        elif path and path[0] == ANCHOR:
            found.setdefault("/".join(path), {})[line.strip()] = None
    return {name: tuple(rules) for name, rules in found.items() if rules}, called


def bridge(name: str, description: str) -> tuple[str, ...]:
    """Make a bridge. The description comes first: it marks the bridge as ours even if the renaming fails.

    The name comes last: nothing after it has to know that the interface is called otherwise by now.
    """
    return ("ifconfig", "bridge", "create", "description", description, "up", "name", name)


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
        """Make a bridge with a description that says it is ours."""
        run(self._runner, Command(bridge(name, description)), "network-failed", "A network change failed")

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
