"""Which documents are for one machine, and what its Host document gives its jails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.spec.document import Host, Jail, JailPackage, Match, Package, Release, Volume
from reconciler.spec.specset import Sourced, SpecSet

D = TypeVar("D")
LOG_VOLUME = Volume(name="log", mountpoint="/var/log")


@dataclass(frozen=True)
class Selected:
    """The documents for one machine, by plain name; jails have the host's defaults.

    `host_source` is None when no Host documents exist. Releases that jails name without a Release
    document stand here too, with the place where a jail names them.
    """

    host: Host
    host_source: Sourced[Host] | None
    jails: Mapping[str, Sourced[Jail]]
    releases: Mapping[str, Sourced[Release]]
    packages: Mapping[str, Sourced[Package]]


@dataclass(frozen=True, slots=True)
class PackageRef:
    """A jail package as one jail uses it. `source` is a URL, or an absolute path; None: from the store.

    `document` is that of a package with a Makejail, which has no digest; `program` what that was compiled to, and
    `context` its folder.
    """

    name: str
    version: str | None
    digest: str
    source: str | Path | None
    span: Span
    replaces: tuple[str, ...] = ()
    document: Sourced[Package] | None = None
    program: Any = None
    context: str = ""


def select(specs: SpecSet, hostname: str | None, labels: Mapping[str, str] | None = None) -> Selected:
    """The documents for the machine with this host name and these labels; None fits every `match.hostname`.

    Raises SpecError: `no-host-matches` when Host documents exist and none does, `two-hosts-match`,
    `missing-release` for a jail without release.
    """
    return for_host(specs, _host(specs, hostname, labels or {}))


def for_host(specs: SpecSet, source: Sourced[Host] | None) -> Selected:
    """The documents for the machines of one Host document; None where there are none. Raises SpecError."""
    host = source.doc if source is not None else Host(name="default", match=Match())
    jails = {
        name: item.with_doc(partial(with_defaults, item, host)) for name, item in _for_host(specs.jails, source).items()
    }
    if not host.defaults.release:
        _with_release({name: item for name, item in jails.items() if not item.says("makejail")})
    return with_releases(
        Selected(host, source, jails, _for_host(specs.releases, source), _for_host(specs.packages, source))
    )


def with_releases(selected: Selected, *, all_say: bool = False) -> Selected:
    """With a document for every release that a jail names.

    Raises SpecError, `missing-release`, for a jail that names none, where `all_say`: a Makejail may name it later.
    """
    usual = selected.host.defaults.release
    if all_say and not usual:
        _with_release(selected.jails)
    releases = dict(selected.releases)
    for item in selected.jails.values():
        name = item.raw.get("release") or usual
        if name is not None and name not in releases:
            releases[name] = Sourced(item.source, item.index, {"name": name}, partial(_plain_release, name))
    return replace(selected, releases=releases)


def package_refs(selected: Selected, jail: Sourced[Jail]) -> tuple[PackageRef, ...]:
    """The packages of a jail, in order, completed from Package documents."""
    return tuple(
        _reference(selected.packages.get(entry.name), jail, number, entry)
        for number, entry in enumerate(jail.doc.packages)
    )


def with_defaults(item: Sourced[Jail], host: Host) -> Jail:
    """A jail with what its Host document gives to jails that do not say."""
    jail, defaults = item.doc, host.defaults
    change: dict[str, object] = {}
    if jail.release is None and defaults.release is not None:
        change["release"] = defaults.release
    if "patch_level" not in jail.model_fields_set and defaults.patch_level is not None:
        change["patch_level"] = defaults.patch_level
    if "boot" not in jail.model_fields_set and defaults.boot is not None:
        change["boot"] = defaults.boot
    if jail.network.resolver is None and defaults.resolver is not None:
        change["network"] = jail.network.model_copy(update={"resolver": defaults.resolver})
    if defaults.ignore:
        change["ignore"] = tuple(dict.fromkeys((*jail.ignore, *defaults.ignore)))
    if defaults.log_volume and not _has_log(jail):
        change["volumes"] = (*jail.volumes, LOG_VOLUME)
    return jail.model_copy(update=change) if change else jail


def applies(item: Sourced[D], host: str | None) -> bool:
    """Whether a document is for the Host document of this name; None: no Host documents exist."""
    return not item.hosts or host in item.hosts


def _has_log(jail: Jail) -> bool:
    places = [volume.mountpoint for volume in jail.volumes] + [mount.mountpoint for mount in jail.mounts]
    return "/var/log" in places or any(volume.name == "log" for volume in jail.volumes)


def _plain_release(name: str) -> Release:
    return Release(name=name)


def _reference(document: Sourced[Package] | None, jail: Sourced[Jail], number: int, entry: JailPackage) -> PackageRef:
    package = document.doc if document is not None else None
    digest = entry.digest or (package.digest if package is not None else "") or ""
    source: str | Path | None = None
    if entry.source is not None:
        source = _where(jail, entry.source)
    elif document is not None and package is not None and package.source is not None:
        source = _where(document, package.source)
    version = entry.version or (package.version if package is not None else None)
    built = document if package is not None and package.makejail is not None and not entry.digest else None
    return PackageRef(
        entry.name, version, digest, source, jail.place(("packages", number)), entry.replaces, built
    )


def _where(item: Sourced[D], source: str) -> str | Path:
    return source if "://" in source or source.startswith("file:") else item.resolve(source)


def _for_host(group: Mapping[str, Sourced[D]], host: Sourced[Host] | None) -> dict[str, Sourced[D]]:
    name = host.name if host is not None else None
    return {item.name: item for item in group.values() if host is None or applies(item, name)}


def _host(specs: SpecSet, hostname: str | None, labels: Mapping[str, str]) -> Sourced[Host] | None:
    if not specs.hosts:
        return None
    found = [item for item in specs.hosts.values() if _matches(item.doc.match, hostname, labels)]
    if len(found) == 1:
        return found[0]
    if not found:
        names = ", ".join(f"{item.name} ({_say(item.doc.match)})" for item in specs.hosts.values())
        given = ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"
        detail = f"This machine is `{hostname}` (labels: {given}); the Host documents are {names}."
        hint = "Add a Host document whose `match` fits it, or give its labels with --label KEY=VALUE."
        raise SpecError(Diagnostic("no-host-matches", "No Host document matches", detail, hint))
    raise SpecError(
        Diagnostic(
            "two-hosts-match",
            "Several Host documents match",
            f"This machine is `{hostname}`; {', '.join(f'`{item.name}` ({item.place()})' for item in found)} match.",
            "Narrow one `match`, so that a machine has one Host document.",
            item.place(("match",)),
        )
        for item in found[1:]
    )


def _matches(match: Match, hostname: str | None, labels: Mapping[str, str]) -> bool:
    """Both must fit where both are given; a match without either fits nothing."""
    if match.hostname is None and not match.labels:
        return False
    if None not in (match.hostname, hostname) and not fnmatchcase(str(hostname).lower(), str(match.hostname).lower()):
        return False
    return all(labels.get(key) == value for key, value in match.labels.items())


def _say(match: Match) -> str:
    parts = [f"hostname {match.hostname}"] if match.hostname else []
    return ", ".join(parts + [f"{key}={value}" for key, value in match.labels.items()]) or "matches nothing"


def _with_release(jails: Mapping[str, Sourced[Jail]]) -> None:
    problems = [
        Diagnostic(
            "missing-release",
            "Jail has no release",
            f"The jail `{name}` names no release, and the host has no default.",
            "Add `release: 15.1-RELEASE`, or `defaults: {release: ...}` to the Host document.",
            item.place(),
        )
        for name, item in jails.items()
        if item.raw.get("release") is None
    ]
    if problems:
        raise SpecError(problems)
