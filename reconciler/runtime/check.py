"""What makes a jail's runtime impossible to write down, as diagnostics; found before anything is made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from reconciler.model.diagnostic import Diagnostic
from reconciler.runtime import devfs, limits
from reconciler.runtime.quote import printable
from reconciler.runtime.runtime import Runtime
from reconciler.spec.document import Jail

_PARAMETER = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\Z")
_STAGE = re.compile(r"^((pre|post)?(create|start|cmd|stop)|apply|custom:[A-Za-z0-9_][A-Za-z0-9_-]*)\Z")
_BOOLEANS = frozenset({"ip4.saddrsel", "ip6.saddrsel", "exec.system_jail_user"})
_HOOK = re.compile(r"^exec\.(prepare|prestart|created|poststart|prestop|poststop|release)\Z")
SET_BY_FIELDS = {
    "name": "name", "jid": "name", "path": "name", "host.hostname": "hostname", "host.hostuuid": "hostname",
    "host": "hostname", "persist": "state", "depend": "depends_on", "command": "healthcheck or exec.start",
    "mount": "mounts", "mount.fstab": "mounts", "mount.devfs": "devfs", "devfs_ruleset": "devfs_ruleset",
    "mount.fdescfs": "mounts", "mount.procfs": "mounts", "exec.clean": "name", "exec.consolelog": "name",
    "ip4": "network", "ip6": "network", "ip4.addr": "network", "ip6.addr": "network", "interface": "network",
    "vnet": "network", "vnet.interface": "network", "osrelease": "release", "osreldate": "release",
}  # fmt: skip
"""jail(8) parameters that other fields set, and those fields."""


def _parameters(jail: Jail) -> Iterator[Diagnostic]:
    for name, value in sorted(jail.parameters.items()):
        positive = name.removeprefix("no")
        if _HOOK.match(name):
            yield Diagnostic(
                "parameter-is-hook",
                "A jail(8) parameter names a hook on the host.",
                f"{jail.name} sets {name}, which the reconciler needs for its own script.",
                "put it into a STAGE of the Makejail, such as STAGE start",
            )
        elif field := SET_BY_FIELDS.get(name) or SET_BY_FIELDS.get(positive):
            yield Diagnostic(
                "parameter-has-field",
                "A jail(8) parameter is set by another field.",
                f"{jail.name} sets {name} in `parameters`.",
                f"use `{field}`",
            )
        elif value is False and not name.startswith("allow.") and name not in _BOOLEANS:
            yield Diagnostic(
                "parameter-not-boolean",
                "A jail(8) parameter is no boolean.",
                f"{jail.name} sets {name} to false.",
            )
        elif not _PARAMETER.match(name) or (isinstance(value, str) and not printable(value)):
            yield Diagnostic(
                "parameter-unwritable",
                "A jail(8) parameter cannot be written to jail.conf.",
                f"{jail.name} sets {name!r}: names have lower case letters, digits, _ and .; values are printable.",
            )


def _rules(jail: Jail) -> Iterator[Diagnostic]:
    for limit, amount in sorted(jail.limits.items()):
        try:
            limits.rule(jail.name, limit, amount)
        except ValueError as error:
            yield Diagnostic(
                "limit-invalid", "A limit is not one that rctl(8) takes.", f"{jail.name}, {limit}: {error}."
            )
    for rule in jail.devfs:
        try:
            devfs.rule_words(rule)
        except ValueError as error:
            yield Diagnostic(
                "devfs-rule-invalid",
                "A rule is not one that devfs(8) takes.",
                f"{jail.name}, {rule!r}: {error}.",
            )


def _mounts(jail: Jail) -> Iterator[Diagnostic]:
    seen = {"/dev": "devfs"}
    if jail.secrets:
        seen["/run/secrets"] = "the tmpfs of secrets"
    places = [(volume.mountpoint, f"volume {volume.name}") for volume in jail.volumes]
    places += [(mount.mountpoint, f"mount of {mount.device}") for mount in jail.mounts]
    for path, what in places:
        if path in seen:
            yield Diagnostic(
                "mountpoint-twice",
                "Two mounts of a jail have the same mount point.",
                f"{jail.name}: {path} belongs to {seen[path]} and to {what}.",
            )
        seen[path] = what
    for mount in jail.mounts:
        bad = not mount.device or not printable(mount.device) or mount.device.startswith("-")
        bad = bad or "#" in mount.options or not printable(mount.options) or mount.options.startswith("-")
        if bad or (mount.type == "nullfs" and not mount.device.startswith("/")):
            yield Diagnostic(
                "mount-unwritable",
                "A mount cannot be written to fstab(5).",
                f"{jail.name}: {mount.device!r} on {mount.mountpoint} with {mount.options!r}:"
                " nullfs wants an absolute path, everything is printable, and options have no #.",
            )


def _network(jail: Jail, external: str | None) -> Iterator[Diagnostic]:
    network = jail.network
    if sum((network.inherit, bool(network.addresses), network.vnet is not None)) > 1:
        yield Diagnostic(
            "network-twice",
            "A jail has more than one way to the network.",
            f"{jail.name}: at most one of inherit, addresses and vnet.",
        )
    vnet = network.vnet
    if vnet is None:
        return
    own = ipaddress.ip_interface(vnet.fixed).network if vnet.fixed else None
    if vnet.gateway and (own is None or ipaddress.ip_address(vnet.gateway) not in own):
        yield Diagnostic(
            "gateway-outside",
            "A gateway is not in the network of the jail's address.",
            f"{jail.name}: {vnet.gateway} cannot be reached from {vnet.address}.",
        )
    if external is None and (vnet.nat or any(port.interface is None for port in vnet.expose)):
        yield Diagnostic(
            "external-missing",
            "nat and exposed ports need the host's outer interface.",
            f"{jail.name}: the Host document names no `external` interface.",
            "external: vtnet0",
        )


def _secrets(jail: Jail) -> Iterator[Diagnostic]:
    paths: set[str] = set()
    for secret in jail.secrets:
        if (secret.source.file is None) == (secret.source.command is None):
            yield Diagnostic(
                "secret-source",
                "A secret has not exactly one source.",
                f"{jail.name}, {secret.name}: `from` has one of file and command.",
            )
        elif secret.source.command and not secret.source.command[0].startswith("/"):
            yield Diagnostic(
                "secret-command-path",
                "The command of a secret is not an absolute path.",
                f"{jail.name}, {secret.name}: jails start at boot with an environment that may not find"
                f" {secret.source.command[0]!r}.",
            )
        if secret.path in paths:
            yield Diagnostic(
                "secret-path-twice",
                "Two secrets of a jail have the same path.",
                f"{jail.name}: {secret.path}.",
            )
        paths.add(secret.path)


def _words(jail: Jail) -> Iterator[Diagnostic]:
    commands = [secret.source.command or () for secret in jail.secrets]
    texts = [*jail.keep, *(word for command in commands for word in command)]
    texts += [secret.path for secret in jail.secrets] + [secret.source.file or "" for secret in jail.secrets]
    texts += [volume.mountpoint for volume in jail.volumes] + [mount.mountpoint for mount in jail.mounts]
    for text in texts:
        if not printable(text):
            yield Diagnostic(
                "word-unwritable",
                "A path or word has characters that do not show.",
                f"{jail.name}: {text!r} cannot be written to a script or an fstab.",
            )


def check(jail: Jail, external: str | None) -> tuple[Diagnostic, ...]:
    """Everything about the jail that no runtime files can express; `external` is the Host's."""
    found = [*_parameters(jail), *_rules(jail), *_mounts(jail), *_network(jail, external)]
    return (*found, *_secrets(jail), *_words(jail))


def check_stages(runtime: Runtime) -> tuple[Diagnostic, ...]:
    """Stage names that no file can be named after."""
    return tuple(
        Diagnostic("stage-unknown", "A Makejail stage has no such name.", f"{runtime.name}: {stage!r}.")
        for stage in sorted(runtime.stages)
        if not _STAGE.match(stage)
    )
