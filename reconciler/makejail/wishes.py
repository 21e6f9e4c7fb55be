"""OPTION: what a Makejail wishes for the jail as a whole, against what a spec says of it.

Under AppJail an OPTION decides; here the spec does. So each option has one of three meanings: `SPEC`, the
spec has a field for it, and the wish counts only as far as the spec agrees; `DEFAULT`, it is so here in any
case; `UNAVAILABLE`, there is nothing like it. The options are those of appjail-quick(1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """What an option means: the spec's field, or what is so here, or what to do instead."""

    meaning: Meaning
    field: str = ""
    says: str = ""


def _spec(field: str, says: str) -> Rule:
    return Rule(Meaning.SPEC, field, says)


def _default(says: str) -> Rule:
    return Rule(Meaning.DEFAULT, "", says)


def _unavailable(says: str) -> Rule:
    return Rule(Meaning.UNAVAILABLE, "", says)


_STARTED = _default("A jail is started when its root is built, unless the spec says state: stopped.")
_REPLACED = _default("A changed root replaces the old one; volumes stay.")
_ROOT = _default("A jail's root is a copy-on-write clone of its release.")
_METHOD = _unavailable("Say what the jail is made of in the spec: release: and packages:.")
_OCI = _unavailable("OCI images are not built from. Use release: and pkg: in the spec, and an older, plain Makejail.")
_RULES_ON_HOST = _unavailable("Configure the interface in the jail with SYSRC, or use network: {vnet: …} in the spec.")
_FILES = _unavailable("Use COPY in the Makejail.")
_ARGUMENTS = _unavailable("Give the stage's ARG a default in the Makejail.")
_VNET = "network: {vnet: {bridge: BRIDGE, address: ADDRESS/PREFIX, gateway: ADDRESS}}"
_ADDRESS = "network: {addresses: [{interface: INTERFACE, address: ADDRESS/PREFIX}]}"
_MOUNT = "mounts: [{device: DEVICE, mountpoint: PATH, type: TYPE, options: rw}]"

TABLE: Mapping[str, Rule] = {
    **dict.fromkeys(("start", "nostart", "restart", "norestart"), _STARTED),
    **dict.fromkeys(("norun", "nologin", "nonat", "mount_devfs", "initscript"), _default("It is so in any case.")),
    **dict.fromkeys(("overwrite", "nooverwrite"), _REPLACED),
    **dict.fromkeys(("run", "login", "login_user"), _unavailable("A run of this program has no terminal of a jail.")),
    "type": _ROOT,
    "osversion": _spec("release", "release: 15.1-RELEASE"),
    "release": _spec("release", "release: 15.1-RELEASE"),
    "osarch": _unavailable("A jail has its release's architecture; name another release in the spec."),
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
    "priority": _spec("depends_on", "depends_on: [JAIL], for what must start first"),
    "depend": _spec("depends_on", "depends_on: [JAIL]"),
    "ephemeral": _unavailable("A root is always made anew from its build; keep what must stay in volumes:."),
    **dict.fromkeys(("create_args", "start_args", "run_args", "stop_args"), _ARGUMENTS),
    **dict.fromkeys(("start_env", "run_env", "stop_env"), _ARGUMENTS),
    "pkg": _spec("pkg", "pkg: [PACKAGE]"),
    **dict.fromkeys(("copydir", "file", "files"), _FILES),
    "resolv_conf": _spec("network.resolver", "network: {resolver: [ADDRESS]}; without it the host's is used"),
    "noresolv_conf": _unavailable(
        "/etc/resolv.conf is written at each start; name servers go to network: {resolver: …}."
    ),
    "tzdata": _default("The host's time zone is copied at each start."),
    "notzdata": _unavailable("The host's time zone is copied at each start."),
    "virtualnet": _spec("network.vnet", _VNET),
    "vnet": _spec("network.vnet", _VNET),
    "bridge": _spec("network.vnet", _VNET),
    "nat": _spec("network.vnet.nat", "network: {vnet: {…, nat: true}}"),
    "expose": _spec("network.vnet.expose", "network: {vnet: {…, expose: [{host: PORT, jail: PORT}]}}"),
    "network": _spec("network.vnet", _VNET),
    "defaultrouter": _spec("network.vnet.gateway", _VNET),
    "defaultrouter6": _spec("network.vnet.gateway", _VNET),
    "alias": _spec("network.addresses", _ADDRESS),
    "ip4": _spec("network.addresses", _ADDRESS),
    "ip6": _spec("network.addresses", _ADDRESS),
    "ip4_inherit": _spec("network.inherit", "network: {inherit: true}"),
    "ip6_inherit": _spec("network.inherit", "network: {inherit: true}"),
    "ip4_disable": _default("A jail has no network unless its spec gives it one."),
    "ip6_disable": _default("A jail has no network unless its spec gives it one."),
    **dict.fromkeys(("jng", "ifconfig", "ifconfig6", "macaddr", "dhcp", "slaac"), _RULES_ON_HOST),
    "fstab": _spec("mounts", _MOUNT),
    "volume": _spec("volumes", "volumes: [{name: NAME, mountpoint: PATH}]"),
    "tmpdir": _spec("mounts", "mounts: [{device: /tmp, mountpoint: /tmp, type: nullfs, options: rw}]"),
    "x11": _spec("mounts", "mounts: [{device: /tmp/.X11-unix, mountpoint: /tmp/.X11-unix, type: nullfs}]"),
    "linuxfs": _spec("mounts", "mounts: with linprocfs, linsysfs, fdescfs and tmpfs"),
    "secret": _spec("secrets", "secrets: [{name: NAME, from: {file: PATH}, path: PATH}]"),
    "nomount_devfs": _unavailable("Every jail has its own /dev; which devices it shows is in devfs:."),
    "devfs_ruleset": _spec("devfs", "devfs: [RULE]"),
    "device": _spec("devfs", "devfs: [RULE]"),
    "cpuset": _unavailable("Bind the jail's programs with cpuset(1) in a start stage."),
    "limits": _spec("limits", "limits: {RESOURCE: AMOUNT}"),
    "label": _spec("labels", "labels: {KEY: VALUE}"),
    "env": _spec("parameters", "parameters: {env.NAME: VALUE}"),
    "meta": _spec("parameters", "parameters: {meta.NAME: VALUE}"),
    "healthcheck": _spec("healthcheck", "healthcheck: {command: [PROGRAM, ARGUMENT]}"),
    "brandelf": _unavailable("Brand the files with CMD brandelf in the Makejail."),
    "brandelf_abi": _unavailable("Brand the files with CMD brandelf in the Makejail."),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One OPTION, read. `words` are its value's words, `named` those of the form `key:value` among them."""

    option: str
    value: str | None
    rule: Rule
    span: Span
    words: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """All wishes in order; of an option that counts once, the last is the one that counts."""

    all: tuple[Wish, ...] = ()

    def of(self, *options: str) -> tuple[Wish, ...]:
        """The wishes that these options express."""
        return tuple(wish for wish in self.all if wish.option in options)

    def last(self, *options: str) -> Wish | None:
        """The one that counts, or None."""
        found = self.of(*options)
        return found[-1] if found else None

    @property
    def release(self) -> str | None:
        """The release by its version; AppJail's `release` is only a name of its own."""
        found = self.last("osversion")
        return found.value if found else None

    @property
    def boot(self) -> bool | None:
        """Whether the jail starts with the host; None where nothing says so."""
        found = self.last("boot", "noboot")
        return None if found is None else found.option == "boot"

    @property
    def inherit(self) -> bool:
        """Whether the jail uses the host's addresses."""
        return bool(self.of("ip4_inherit", "ip6_inherit"))

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Jails that start before."""
        return tuple(wish.value for wish in self.of("depend") if wish.value)

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels by key."""
        return dict(_pair(wish.value or "") for wish in self.of("label"))

    @property
    def parameters(self) -> Mapping[str, str]:
        """`env.*` and `meta.*` parameters."""
        return dict(_pair(f"{wish.option}.{wish.value or ''}") for wish in self.of("env", "meta"))

    @property
    def limits(self) -> Mapping[str, str]:
        """rctl(8) rules: `resource:action` to `amount[/per]`."""
        found = (wish.words[0].partition("=") for wish in self.of("limits") if wish.words)
        return {rule: amount for rule, _, amount in found}

    @property
    def devices(self) -> tuple[str, ...]:
        """Rules of devfs(8)."""
        return tuple(" ".join(wish.words) for wish in self.of("device"))

    @property
    def volumes(self) -> Mapping[str, str]:
        """Mount points of volumes by name."""
        named = ((wish.words[0], wish.named) for wish in self.of("volume") if wish.words)
        return {name: options.get("mountpoint", f"/volumes/{name}") for name, options in named}

    @property
    def packages(self) -> tuple[str, ...]:
        """FreeBSD packages."""
        return tuple(wish.value for wish in self.of("pkg") if wish.value)


def wishes(options: Iterable[Given]) -> tuple[Wishes, tuple[Diagnostic, ...]]:
    """Read the options of a program; the diagnostics are warnings: what is in the spec's hands, what is not there."""
    found: list[Wish] = []
    diagnostics: list[Diagnostic] = []
    for option in options:
        rule = TABLE.get(option.name)
        if rule is None:
            diagnostics.append(_unknown(option))
            continue
        try:
            split = tuple(words(option.value or "", option.span))
        except MakejailError as error:
            diagnostics += error.diagnostics
            continue
        named = dict(word.split(":", 1) for word in split[1:] if ":" in word)
        found.append(Wish(option.name, option.value, rule, option.span, split, named))
        diagnostics += _said(option, rule)
    return Wishes(tuple(found)), tuple(diagnostics)


def conflicts(wished: Wishes, said: Mapping[str, object]) -> tuple[Diagnostic, ...]:
    """Where the spec says something else. `said` maps the spec's fields (`release`, `boot`, `inherit`,
    `labels`, `parameters`, `limits`, `volumes`) to what it says; a field that is absent is not compared."""
    found = []
    wanted: dict[str, object] = {"release": wished.release, "boot": wished.boot, "inherit": wished.inherit or None}
    for name, value in wanted.items():
        if value is not None and name in said and said[name] != value:
            found.append(_conflict(wished, name, f"{name}: {_in_yaml(said[name])}", _in_yaml(value)))
    tables: dict[str, Mapping[str, str]] = {
        "labels": wished.labels,
        "parameters": wished.parameters,
        "limits": wished.limits,
        "volumes": wished.volumes,
    }
    for name, table in tables.items():
        other = said.get(name)
        for key, text in table.items() if isinstance(other, Mapping) else ():
            if isinstance(other, Mapping) and key in other and str(other[key]) != text:
                found.append(_conflict(wished, name, f"{name}: {key}: {other[key]}", text))
    return tuple(found)


def _conflict(wished: Wishes, name: str, says: str, wish: str) -> Diagnostic:
    last = next((one for one in reversed(wished.all) if one.rule.field.split(".")[-1] == name), None)
    detail = f"The spec says {says}; the Makejail wishes {wish}. The spec counts."
    hint = "Make the two agree, or remove the OPTION."
    return warning("option-conflict", "An OPTION and the spec differ", detail, hint, last.span if last else None)


def _in_yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition(":")
    return key, value


def _said(option: Given, rule: Rule) -> list[Diagnostic]:
    match rule.meaning:
        case Meaning.SPEC:
            detail = f"OPTION {option.name} is only a wish: what counts is {rule.field.split('.')[0]} of the spec."
            return [
                warning("option-in-spec", "The spec decides this", detail, f"In the spec: {rule.says}", option.span)
            ]
        case Meaning.UNAVAILABLE:
            detail = f"OPTION {option.name} has no effect here."
            return [warning("option-unavailable", "An OPTION is not available", detail, rule.says, option.span)]
        case Meaning.DEFAULT:
            return []


def _unknown(option: Given) -> Diagnostic:
    near = get_close_matches(option.name, sorted(TABLE), n=1)
    hint = f"Did you mean {near[0]}?" if near else "The options are those of appjail-quick(1)."
    return warning("option-unknown", "There is no such OPTION", f"{option.name!r} is none.", hint, option.span)
