"""The documents a user writes: Jail, Release, Package, Host. The vocabulary of `specs/*.yaml`.

Every field carries the description that `schemas/*.json`, the editor and the reference show.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import (
    FSTYPE,
    HOSTNAME,
    OPTIONS,
    POOL,
    REPOSITORY,
    SERVER,
    TIMEZONE,
    AbsolutePath,
    Account,
    Address,
    Bool,
    Digest,
    Duration,
    Int,
    Interface,
    JailPath,
    Label,
    Mode,
    Model,
    Name,
    Processors,
    ReleaseName,
    Size,
)
from reconciler.spec.networks import BuildVnet as BuildVnet
from reconciler.spec.networks import Expose as Expose
from reconciler.spec.networks import InterfaceIp as InterfaceIp
from reconciler.spec.networks import NetworkSpec as NetworkSpec
from reconciler.spec.networks import Vnet as Vnet
from reconciler.spec.origins import JailPackage as JailPackage
from reconciler.spec.origins import Makejail as Makejail
from reconciler.spec.origins import PackageName as PackageName
from reconciler.spec.origins import PackagePolicy as PackagePolicy

Argv = Annotated[tuple[str, ...], Field(min_length=1)]


class Volume(Model):
    """Durable data: its own dataset, mounted through the jail's fstab, never rolled back or pruned silently."""

    name: Name = Field(description="Name, unique in the jail.")
    mountpoint: JailPath = Field(description="Folder in the jail.")
    owner: Account | None = Field(default=None, description="Owner by name in the jail; its number is recorded.")
    group: Account | None = Field(default=None, description="Group by name in the jail.")
    mode: Mode = Field(default="0755", description='Mode of the top folder, in quotes: "0750".')
    read_only: Bool = Field(default=False, description="Mount it read-only.")
    pool: str | None = Field(
        default=None, description="Another parent dataset than the Host's pool, such as fast/reconciler."
    )
    quota: Size | None = Field(default=None, description="Most space it may use, snapshots included (zfs quota).")
    reservation: Size | None = Field(default=None, description="Space kept free for it (zfs reservation).")
    recordsize: Size | None = Field(default=None, description="zfs recordsize, a power of two from 512 to 16M.")
    compression: str | None = Field(default=None, description="zfs compression, such as lz4 or zstd.")
    exec: Bool = Field(default=True, description="Whether programs may run from it.")
    setuid: Bool = Field(default=False, description="Whether set-user-id bits count on it.")
    renamed_from: Name | None = Field(
        default=None, description="Its former name; the dataset is renamed, nothing is copied."
    )


class Mount(Model):
    """One more mount of the jail, as a line of fstab(5)."""

    device: str = Field(description="What to mount: a host path for nullfs, or tmpfs, procfs ...")
    mountpoint: JailPath = Field(description="Folder in the jail.")
    type: str = Field(default="nullfs", pattern=FSTYPE, description="File system type, as fstab(5).")
    options: str = Field(default="ro", pattern=OPTIONS, max_length=512, description="Mount options, as fstab(5).")


class Secret(Model):
    """A secret given to the jail on a tmpfs at start; never in a layer, plan, log or argument."""

    name: Name = Field(description="Name, shown instead of the value.")
    source: SecretSource = Field(alias="from", description="Where the host reads it.")
    path: JailPath = Field(description="File in the jail.")
    owner: Account = Field(default="root", description="Owner by name in the jail.")
    mode: Mode = Field(default="0400", description="Mode of the file, in quotes.")


class SecretSource(Model):
    """Where a secret comes from: exactly one of file and command."""

    file: AbsolutePath | None = Field(default=None, description="File on the host, readable by root only.")
    command: Argv | None = Field(default=None, description="Program on the host that prints it.")


class Healthcheck(Model):
    """What says that a started jail works; a new root that fails it is put back."""

    command: Argv = Field(description="Program and arguments, run in the jail; exit status 0 is healthy.")
    interval: Duration = Field(default=10.0, description="Time between tries.")
    timeout: Duration = Field(default=30.0, description="Longest time one try may take.")
    retries: Annotated[Int, Field(ge=1, le=1000)] = Field(
        default=3, description="Failures in a row that mean unhealthy."
    )
    start_period: Duration = Field(default=0.0, description="Time after start in which failures do not count.")


class Update(Model):
    """How a changed root replaces the running one."""

    strategy: Literal["replace", "in_place"] = Field(
        default="replace",
        description="`replace` builds a new root beside the old one; `in_place` copies the stopped one and patches it.",
    )
    keep: Annotated[Int, Field(ge=1, le=100)] = Field(
        default=2, description="How many old generations that were good stay for rollback."
    )


DriftMode = Literal["correct", "warn", "ignore"]


class Drift(Model):
    """What to do when the host differs from the spec and the spec did not change."""

    default: DriftMode = Field(default="correct", description="For every field not named below.")
    state: DriftMode | None = Field(default=None, description="Running or stopped.")
    parameters: DriftMode | None = Field(default=None, description="jail(8) parameters of the running jail.")
    mounts: DriftMode | None = Field(default=None, description="Mounts of the running jail.")
    limits: DriftMode | None = Field(default=None, description="rctl(8) rules.")
    network: DriftMode | None = Field(default=None, description="Addresses, bridge membership, pf rules.")
    devfs: DriftMode | None = Field(default=None, description="The devfs(8) ruleset.")
    volumes: DriftMode | None = Field(default=None, description="Properties of volumes.")
    stopped_by_operator: Literal["hold", "warn", "correct"] = Field(
        default="hold",
        description="A stop by `service reconciler_jails stop`: kept, kept and told, or drift of `state` as any other.",
    )


class Jail(Model):
    """One jail of one or more hosts."""

    kind: Literal["Jail"] = Field(default="Jail", description="The kind of document.")
    name: Name = Field(description="Name of the jail; unique on a host.")
    labels: dict[str, Label] = Field(default={}, description="Free key: value marks.")
    hosts: tuple[str, ...] = Field(
        default=(), description="Names of Host documents it belongs to; all hosts when absent."
    )
    release: ReleaseName | None = Field(
        default=None, description="Release, such as 15.1-RELEASE; the Host's default when absent."
    )
    patch_level: Annotated[Int, Field(ge=0)] | Literal["latest"] = Field(
        default="latest", description="Patch level of the release, a number or `latest`."
    )
    packages: tuple[JailPackage, ...] = Field(default=(), description="Jail packages, applied in this order.")
    pkg: tuple[PackageName, ...] = Field(default=(), description="FreeBSD packages, installed as one layer.")
    makejail: Makejail | None = Field(default=None, description="How the root is built further.")
    state: Literal["running", "stopped"] = Field(default="running", description="Whether the jail should run.")
    boot: Bool = Field(default=True, description="Whether rc.d/reconciler_jails starts it when the host boots.")
    priority: Annotated[Int, Field(ge=0, le=9999)] = Field(
        default=0, description="At boot, a jail of a lower number starts first; depends_on goes before."
    )
    depends_on: tuple[Name, ...] = Field(default=(), description="Jails that must run before this one starts.")
    hostname: str | None = Field(
        default=None, pattern=HOSTNAME, description="host.hostname; the jail's name when absent."
    )
    timezone: str | None = Field(
        default=None,
        pattern=TIMEZONE,
        description="Time zone, such as Europe/Berlin; a copy of the host's when absent.",
    )
    unmanaged: tuple[Literal["resolv.conf", "localtime"], ...] = Field(
        default=(), description="Files of /etc that are as the root has them, instead of written at each start."
    )
    network: NetworkSpec = Field(default=NetworkSpec(), description="How it reaches the network; none when absent.")
    volumes: tuple[Volume, ...] = Field(default=(), description="Durable data.")
    ephemeral: Bool = Field(
        default=False, description="At each start the root is again as it was built; volumes, `keep` and mounts stay."
    )
    keep: tuple[JailPath, ...] = Field(
        default=(), description="Files and folders carried from one root to the next, beside the defaults."
    )
    ignore: tuple[JailPath, ...] = Field(
        default=(), description="Paths whose changes may be lost with a root; globs allowed."
    )
    secrets: tuple[Secret, ...] = Field(default=(), description="Secrets, given on a tmpfs at start.")
    mounts: tuple[Mount, ...] = Field(default=(), description="Further mounts.")
    limits: dict[str, str | Int] = Field(
        default={}, description="rctl(8) limits: `memoryuse: 512M` denies; `resource:action: amount[/per]`."
    )
    cpuset: Processors | None = Field(default=None, description="Processors, as `0-3` or `0,2`; all when absent.")
    devfs_ruleset: Annotated[Int, Field(ge=1, le=39999)] | None = Field(
        default=None, description="A devfs(8) ruleset of the host's own, by number; the system's for jails when absent."
    )
    devfs: tuple[str, ...] = Field(default=(), description="Further devfs(8) rules, such as `path bpf* unhide`.")
    parameters: dict[str, str | Int | Bool] = Field(
        default={}, description="Any jail(8) parameter that no other field sets."
    )
    healthcheck: Healthcheck | None = Field(default=None, description="What says that it works.")
    update: Update = Field(
        default=Update(), description="Strategy of a change of the root, and how many old ones stay."
    )
    drift: Drift = Field(default=Drift(), description="What to do about drift, per field.")
    protect: Bool = Field(
        default=False, description="Never removed, whatever the specs and flags say, until this is unset."
    )
    renamed_from: Name | None = Field(default=None, description="Its former name; volumes and state move with it.")


class Trust(Model):
    """What a MANIFEST must match before a release is believed."""

    policy: Literal["https", "pinned", "manifests-dir"] = Field(
        default="https",
        description="https: the mirror's own, over TLS, loopback or file:; pinned: `digest`; manifests-dir: a copy.",
    )
    digest: Digest | None = Field(default=None, description="SHA256 of MANIFEST, for `pinned`.")
    directory: AbsolutePath | None = Field(default=None, description="Folder of MANIFESTs, for `manifests-dir`.")


class Release(Model):
    """Where a release comes from, and what makes it trusted."""

    kind: Literal["Release"] = Field(default="Release", description="The kind of document.")
    name: ReleaseName = Field(description="Release, such as 15.1-RELEASE.")
    hosts: tuple[str, ...] = Field(default=(), description="Names of Host documents it is for; all when absent.")
    method: Literal["sets", "pkgbase"] = Field(
        default="sets", description="sets: distribution sets of a mirror; pkgbase: packages, of `updates.repository`."
    )
    mirror: str | None = Field(
        default=None,
        description="URL (https:, http:, file:) of the folder that holds MACHINE/ARCH/RELEASE; FreeBSD's when absent.",
    )
    sets: tuple[PackageName, ...] = Field(
        default=("base",), description="Sets, such as base, lib32; with pkgbase such as base-jail, minimal-jail."
    )
    trust: Trust = Field(default=Trust(), description="What makes its MANIFEST trusted.")


class Package(Model):
    """A jail package that specs may name: an archive, or a Makejail to build it with."""

    kind: Literal["Package"] = Field(default="Package", description="The kind of document.")
    name: PackageName = Field(description="Name that jails use.")
    version: str | None = Field(default=None, description="Version, for people.")
    hosts: tuple[str, ...] = Field(default=(), description="Names of Host documents it is for; all when absent.")
    release: ReleaseName = Field(description="Release it was recorded on, or is built on.")
    patch_level: Annotated[Int, Field(ge=0)] | None = Field(
        default=None, description="Patch level it was recorded on; any of the release when absent."
    )
    source: str | None = Field(
        default=None, description="Where the archive lies: a path relative to this file, file: or http(s): URL."
    )
    digest: Digest | None = Field(default=None, description="SHA256 of the archive; required with `source`.")
    makejail: Makejail | None = Field(
        default=None, description="Instead of an archive: what is done on the release, recorded where it is needed."
    )


class Match(Model):
    """Which machine a Host document is for."""

    hostname: str | None = Field(default=None, description="kern.hostname of the machine; shell globs allowed.")
    labels: dict[str, Label] = Field(default={}, description="Labels given on the machine with --label.")


class Policy(Model):
    """What this host allows."""

    host_code: Literal["allow", "deny", "listed"] = Field(
        default="allow", description="Whether jails may run code on the host (RAW, CMD --local, secrets.from.command)."
    )
    host_code_allowed: tuple[str, ...] = Field(default=(), description="Jails that may, for `listed`.")
    unpinned: Literal["warn", "deny"] = Field(
        default="warn", description="What to do about network content that nothing pins."
    )
    eol: Literal["allow", "warn", "deny"] = Field(
        default="warn", description="What to do about new roots on a release past its end of life."
    )
    newer_than_host: Literal["allow", "warn", "deny"] = Field(
        default="warn", description="What to do about new roots on a release newer than the host's own."
    )
    downloads: Literal["allow", "deny"] = Field(
        default="allow", description="deny: releases, archives and update tags come from the cache and file: URLs only."
    )
    min_free: Size = Field(default=0, description="Builds are refused below this much free space.")
    max_prune_percent: Annotated[Int, Field(ge=0, le=100)] = Field(
        default=20, description="More than this share of jails going (and at least 3) needs --allow-prune."
    )
    packages: PackagePolicy = Field(default=PackagePolicy(), description="Whose jail packages are believed.")


class Build(Model):
    """How build jails reach the network."""

    network: Literal["inherit", "none", "vnet"] = Field(
        default="inherit", description="inherit: the host's stack; vnet: one of its own for each, as `vnet` says."
    )
    vnet: BuildVnet | None = Field(default=None, description="Bridge and addresses, for `network: vnet`.")


class UpdateServer(Model):
    """Where freebsd-update's tags and patches come from, and whose signature on them counts."""

    server: str = Field(
        default="http://update.FreeBSD.org",
        pattern=SERVER,
        description="URL (http:, https:, file:) of the folder that holds RELEASE/MACHINE.",
    )
    key_prints: Annotated[tuple[Digest, ...], Field(min_length=1)] = Field(
        default=("sha256:800651ef4b4c71c27e60786d7b487188970f4b4169cc055784e21eb71d410cc5",),
        description="SHA256 of each public key (pub.ssl) that may sign; FreeBSD's own KeyPrint when absent.",
    )
    repository: str = Field(
        default="pkg+https://pkg.FreeBSD.org/${ABI}/base_release_${VERSION_MINOR}",
        pattern=REPOSITORY,
        description="URL of the base packages (pkgbase), as in pkg.conf(5).",
    )
    fingerprints: tuple[Digest, ...] = Field(
        default=(), description="SHA256 of each key that may sign base packages; FreeBSD's own when absent."
    )


class Defaults(Model):
    """What jails of this host have when they do not say."""

    release: ReleaseName | None = Field(default=None, description="Release of jails without one.")
    patch_level: Annotated[Int, Field(ge=0)] | Literal["latest"] | None = Field(
        default=None, description="Patch level of jails without one."
    )
    boot: Bool | None = Field(default=None, description="Whether jails start at boot.")
    resolver: tuple[Address, ...] | None = Field(default=None, description="Name servers.")
    ignore: tuple[JailPath, ...] = Field(default=(), description="Paths ignored in every jail.")
    log_volume: Bool = Field(default=True, description="Give every jail a volume `log` at /var/log.")


class Host(Model):
    """One machine: which it is, where things lie, what it allows."""

    kind: Literal["Host"] = Field(default="Host", description="The kind of document.")
    name: Name = Field(description="Name used in `hosts:`.")
    match: Match = Field(description="Which machine this is.")
    pool: str = Field(default="zroot/reconciler", pattern=POOL, description="Dataset below which everything lies.")
    mountpoint: AbsolutePath = Field(default="/reconciler", description="Where that dataset is mounted.")
    external: Interface | None = Field(
        default=None, description="Interface that faces the outside, for NAT and exposed ports."
    )
    defaults: Defaults = Field(default=Defaults(), description="What jails have when they do not say.")
    policy: Policy = Field(default=Policy(), description="What may be done on it.")
    build: Build = Field(default=Build(), description="The network of its build jails.")
    updates: UpdateServer = Field(default=UpdateServer(), description="Where patches of releases come from.")


Document = Jail | Release | Package | Host
KINDS: dict[str, type[Jail | Release | Package | Host]] = {
    "Jail": Jail,
    "Release": Release,
    "Package": Package,
    "Host": Host,
}

Secret.model_rebuild()
