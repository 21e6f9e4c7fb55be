"""OPTION: what a Makejail wishes for the jail as a whole, and what becomes of each wish.

Under AppJail an OPTION decides at once; here it becomes part of the jail's document (`reconciler.effective`). So
each option has one of four meanings: `SPEC`, the document has a field for it; `DEFAULT`, it is so here in any case;
`UNAVAILABLE`, there is nothing like it; `REFUSED`, the jail would be another one without it. The options are those
of appjail-quick(1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Protocol

from reconciler.makejail.problem import MakejailError, warning
from reconciler.makejail.tokens import words
from reconciler.model.diagnostic import Diagnostic, Span


class Meaning(StrEnum):
    """What becomes of an option."""

    SPEC = "spec"
    DEFAULT = "default"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"


class Given(Protocol):
    """An OPTION as a program has it."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str | None: ...
    @property
    def span(self) -> Span: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """What an option means: the document's field, or what is so here, or what to do instead."""

    meaning: Meaning
    field: str = ""
    says: str = ""


def _spec(field: str, says: str) -> Rule:
    return Rule(Meaning.SPEC, field, says)


def _default(says: str) -> Rule:
    return Rule(Meaning.DEFAULT, "", says)


def _unavailable(says: str) -> Rule:
    return Rule(Meaning.UNAVAILABLE, "", says)


def _refused(says: str) -> Rule:
    return Rule(Meaning.REFUSED, "", says)


_METHOD = _refused("Say what the jail is made of in the spec: release: and packages:.")
_OCI = _refused("OCI images are not built from. Use release: and pkg: in the spec, and an older, plain Makejail.")
_LINUX = _refused(
    "debootstrap makes no root here. For Linux programs beside FreeBSD's: pkg: [linux_base-rl9], and OPTION linuxfs."
)
_TYPES = frozenset({"", "generic", "thick", "thin"})
_ARGUMENTS = _default("The ARGs of those stages get them where a run gives none itself.")
_ENVIRONMENT = _default("RUN gets it in those stages, after every ENV; a start runs the create stages too.")
_BRAND = _unavailable("Brand the files with CMD brandelf in the Makejail.")
_VNET = "network: {vnet: {bridge: BRIDGE, address: ADDRESS/PREFIX, gateway: ADDRESS}}"
_ADDRESS = "network: {addresses: [{interface: INTERFACE, address: ADDRESS/PREFIX}]}"
_MOUNT = "mounts: [{device: DEVICE, mountpoint: PATH, type: TYPE, options: rw}]"

TABLE: Mapping[str, Rule] = {
    **dict.fromkeys(("start", "nostart"), _spec("state", "state: running")),
    **dict.fromkeys(("restart", "norestart"), _default("A jail is started anew when its root is built.")),
    **dict.fromkeys(("norun", "nologin", "mount_devfs", "initscript"), _default("It is so in any case.")),
    "overwrite": _default("A changed root replaces the old one; volumes stay."),
    "nooverwrite": _unavailable("A changed root always replaces the old one; volumes stay."),
    **dict.fromkeys(("run", "login", "login_user"), _unavailable("A run of this program has no terminal of a jail.")),
    "type": _default("A jail's root is a copy-on-write clone of its release."),
    "osversion": _spec("release", "release: 15.1-RELEASE"),
    "release": _spec("release", "release: 15.1-RELEASE"),
    "osarch": _unavailable("A jail has the architecture of its host's releases; one for another machine cannot run."),
    "template": _spec("parameters", "parameters: {NAME: VALUE}"),
    "empty": _METHOD,
    "copy": _METHOD,
    "clone+jail": _METHOD,
    "clone+release": _METHOD,
    **dict.fromkeys(("import+jail", "import+root", "tiny+import", "zfs+import+jail", "zfs+import+root"), _METHOD),
    "from": _OCI,
    "container": _OCI,
    "boot": _spec("boot", "boot: true"),
    "noboot": _spec("boot", "boot: false"),
    "priority": _spec("priority", "priority: 5"),
    "depend": _spec("depends_on", "depends_on: [JAIL]"),
    "ephemeral": _spec("ephemeral", "ephemeral: true"),
    **dict.fromkeys(("create_args", "start_args", "run_args", "stop_args"), _ARGUMENTS),
    **dict.fromkeys(("start_env", "run_env", "stop_env"), _ENVIRONMENT),
    "pkg": _spec("pkg", "pkg: [PACKAGE]"),
    **dict.fromkeys(("copydir", "file", "files"), _default("The files are copied before anything else is built.")),
    "resolv_conf": _spec("network.resolver", "network: {resolver: [ADDRESS]}; without it the host's is used"),
    "noresolv_conf": _spec("unmanaged", "unmanaged: [resolv.conf]"),
    "tzdata": _spec("timezone", "timezone: Europe/Berlin; without it the host's is copied"),
    "notzdata": _spec("unmanaged", "unmanaged: [localtime]"),
    "virtualnet": _spec("network.vnet", _VNET),
    "vnet": _spec("network.vnet.interface", "network: {vnet: {interface: INTERFACE, address: ADDRESS/PREFIX}}"),
    "bridge": _spec("network.vnet", _VNET),
    "nat": _spec("network.vnet.nat", "network: {vnet: {…, nat: true}}"),
    "nonat": _spec("network.vnet.nat", "network: {vnet: {…, nat: false}}"),
    "expose": _spec("network.vnet.expose", "network: {vnet: {…, expose: [{host: PORT, jail: PORT}]}}"),
    "network": _spec("network.vnet", _VNET),
    "defaultrouter": _spec("network.vnet.gateway", _VNET),
    "defaultrouter6": _spec("network.vnet.gateway", _VNET),
    "ifconfig": _spec("network.vnet.address", _VNET),
    "ifconfig6": _spec("network.vnet.address", _VNET),
    "alias": _spec("network.addresses", _ADDRESS),
    "ip4": _spec("network.addresses", _ADDRESS),
    "ip6": _spec("network.addresses", _ADDRESS),
    "ip4_inherit": _spec("network.inherit", "network: {inherit: true}"),
    "ip6_inherit": _spec("network.inherit", "network: {inherit: true}"),
    "ip4_disable": _default("A jail has no network unless its spec gives it one."),
    "ip6_disable": _default("A jail has no network unless its spec gives it one."),
    "jng": _unavailable("Netgraph is not used here. In the spec: network: {vnet: {bridge: BRIDGE, address: dhcp}}"),
    "dhcp": _spec("network.vnet.address", "network: {vnet: {bridge: BRIDGE, address: dhcp}}"),
    "slaac": _spec("network.vnet.address", "network: {vnet: {bridge: BRIDGE, address: slaac}}"),
    "macaddr": _spec("network.vnet.mac", 'network: {vnet: {…, mac: "02:00:5e:10:00:01"}}'),
    "fstab": _spec("mounts", _MOUNT),
    "volume": _spec("volumes", "volumes: [{name: NAME, mountpoint: PATH}]"),
    "tmpdir": _spec("mounts", "mounts: [{device: /tmp, mountpoint: /tmp, type: nullfs, options: rw}]"),
    "x11": _spec("mounts", "mounts: [{device: /tmp/.X11-unix, mountpoint: /tmp/.X11-unix, type: nullfs}]"),
    "linuxfs": _spec("mounts", "mounts: [{device: linprocfs, mountpoint: /proc, type: linprocfs, options: rw}]"),
    "secret": _unavailable(
        "Say where it comes from: secrets: [{name: NAME, from: {file: PATH}, path: /secrets/GROUP/NAME}]."
    ),
    "nomount_devfs": _unavailable("Every jail has its own /dev; which devices it shows is in devfs:."),
    "devfs_ruleset": _spec("devfs_ruleset", "devfs_ruleset: NUMBER"),
    "device": _spec("devfs", "devfs: [RULE]"),
    "cpuset": _spec("cpuset", "cpuset: 0-3"),
    "limits": _spec("limits", "limits: {RESOURCE: AMOUNT}"),
    "label": _spec("labels", "labels: {KEY: VALUE}"),
    "env": _spec("parameters", "parameters: {env.NAME: VALUE}"),
    "meta": _spec("parameters", "parameters: {meta.NAME: VALUE}"),
    "healthcheck": _spec("healthcheck", "healthcheck: {command: [PROGRAM, ARGUMENT]}"),
    "brandelf": _BRAND,
    "brandelf_abi": _BRAND,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One OPTION, read. `words` are its value's words."""

    option: str
    value: str | None
    rule: Rule
    span: Span
    words: tuple[str, ...] = ()

    def named(self, skip: int = 0) -> Mapping[str, str]:
        """The words after the first `skip` as `key:value`; one without a colon has the value ""."""
        return {word.partition(":")[0]: word.partition(":")[2] for word in self.words[skip:]}


def wishes(options: Iterable[Given]) -> tuple[tuple[Wish, ...], tuple[Diagnostic, ...]]:
    """Read the options of a program; the diagnostics say what is not there, what is refused is an error."""
    found: list[Wish] = []
    diagnostics: list[Diagnostic] = []
    for option in options:
        rule = TABLE.get(option.name)
        if rule is None:
            diagnostics.append(_unknown(option))
            continue
        if option.name == "type" and (option.value or "").strip() not in _TYPES:
            rule = _LINUX
        try:
            split = tuple(words(option.value or "", option.span))
        except MakejailError as error:
            diagnostics += error.diagnostics
            continue
        found.append(Wish(option.name, option.value, rule, option.span, split))
        diagnostics += _said(option, rule)
    return tuple(found), tuple(diagnostics)


def _said(option: Given, rule: Rule) -> list[Diagnostic]:
    match rule.meaning:
        case Meaning.UNAVAILABLE:
            detail = f"OPTION {option.name} has no effect here."
            return [warning("option-unavailable", "An OPTION is not available", detail, rule.says, option.span)]
        case Meaning.REFUSED:
            detail = f"OPTION {option.name} says what the jail is made of, and nothing here makes it of that."
            return [Diagnostic("option-refused", "An OPTION cannot be done", detail, rule.says, option.span)]
        case Meaning.DEFAULT | Meaning.SPEC:
            return []


def _unknown(option: Given) -> Diagnostic:
    near = get_close_matches(option.name, sorted(TABLE), n=1)
    hint = f"Did you mean {near[0]}?" if near else "The options are those of appjail-quick(1)."
    return warning("option-unknown", "There is no such OPTION", f"{option.name!r} is none.", hint, option.span)
