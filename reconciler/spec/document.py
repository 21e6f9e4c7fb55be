"""The documents a user writes: Jail, Release, Package, Host. The vocabulary of `specs/*.yaml`.

Every field carries the description that `schemas/*.json`, the editor and the reference show.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from reconciler.spec.fields import (
    AbsolutePath,
    Account,
    Address,
    Digest,
    Duration,
    Interface,
    InterfaceAddress,
    JailPath,
    Label,
    Mode,
    Model,
    Name,
    ReleaseName,
    Size,
)

Argv = Annotated[tuple[str, ...], Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.,-]*$", max_length=128)]


class JailPackage(Model):
    """A jail package: the recorded difference of an installation, applied as one layer."""

    name: PackageName = Field(description="Name of the package, or of a `kind: Package` document.")
    version: str | None = Field(None, description="Version, for people and for the plan; the digest decides.")
    digest: Digest | None = Field(None, description="SHA256 of the archive; required unless a Package document has it.")
    source: str | None = Field(None, description="Where the archive lies: a path relative to this file, file: or http(s): URL.")


class Makejail(Model):
    """How the root is built on top of the release: a Makejail, from a file or inline."""

    file: str | None = Field(None, description="Path of the Makejail, relative to this document.")
    text: str | None = Field(None, description="The Makejail itself, inline.")
    args: dict[str, str] = Field({}, description="Values of the Makejail's ARGs.")
    build_args: dict[str, str] = Field({}, description="Values of its build arguments, `%{NAME}`.")
    env: dict[str, str] = Field({}, description="Environment of RUN, as `-V`.")


class Expose(Model):
    """A port of the host that leads to a port of the jail (pf rdr)."""

    host: Port = Field(description="Port on the host.")
    jail: Port | None = Field(None, description="Port in the jail; the same when absent.")
    protocol: Literal["tcp", "udp"] = Field("tcp", description="tcp or udp.")
    interface: Interface | None = Field(None, description="Host interface; the Host document's `external` when absent.")


class Vnet(Model):
    """A network stack of the jail's own, joined to a bridge by an epair."""

    bridge: Interface = Field(description="Bridge on the host; made and described as ours when it does not exist.")
    address: InterfaceAddress = Field(description="Address with prefix length, such as 10.77.0.2/24.")
    gateway: Address | None = Field(None, description="Default route; our bridge gets this address.")
    nat: bool = Field(False, description="Translate what leaves the host from this jail (pf nat).")
    expose: tuple[Expose, ...] = Field((), description="Ports of the host that lead here (pf rdr).")


class InterfaceIp(Model):
    """An address on an interface of the host, shared with the jail."""

    interface: Interface = Field(description="Interface of the host, such as vtnet0 or lo1.")
    address: InterfaceAddress = Field(description="Address with prefix length; it is added at start, removed at stop.")


class NetworkSpec(Model):
    """How the jail reaches the network; at most one of inherit, addresses and vnet."""

    inherit: bool = Field(False, description="Use the host's stack and addresses.")
    addresses: tuple[InterfaceIp, ...] = Field((), description="Addresses on interfaces of the host.")
    vnet: Vnet | None = Field(None, description="A stack of its own on a bridge.")
    resolver: tuple[Address, ...] | None = Field(None, description="Name servers of /etc/resolv.conf; the host's when absent.")


class Volume(Model):
    """Durable data: its own dataset, mounted through the jail's fstab, never rolled back or pruned silently."""

    name: Name = Field(description="Name, unique in the jail.")
    mountpoint: JailPath = Field(description="Folder in the jail.")
    owner: Account | None = Field(None, description="Owner by name in the jail; its number is recorded.")
    group: Account | None = Field(None, description="Group by name in the jail.")
    mode: Mode = Field("0755", description='Mode of the top folder, in quotes: "0750".')
    read_only: bool = Field(False, description="Mount it read-only.")
    pool: str | None = Field(None, description="Another parent dataset than the Host's pool, such as fast/reconciler.")
    quota: Size | None = Field(None, description="Most space it may use, snapshots included (zfs quota).")
    reservation: Size | None = Field(None, description="Space kept free for it (zfs reservation).")
    recordsize: Size | None = Field(None, description="zfs recordsize, a power of two from 512 to 16M.")
    compression: str | None = Field(None, description="zfs compression, such as lz4 or zstd.")
    exec: bool = Field(True, description="Whether programs may run from it.")
    setuid: bool = Field(False, description="Whether set-user-id bits count on it.")
    renamed_from: Name | None = Field(None, description="Its former name; the dataset is renamed, nothing is copied.")


class Mount(Model):
    """One more mount of the jail, as a line of fstab(5)."""

    device: str = Field(description="What to mount: a host path for nullfs, or tmpfs, procfs ...")
    mountpoint: JailPath = Field(description="Folder in the jail.")
    type: str = Field("nullfs", pattern=r"^[a-z0-9]+$", description="File system type, as fstab(5).")
    options: str = Field("ro", pattern=r"^[^\s]+$", description="Mount options, as fstab(5).")


class Secret(Model):
    """A secret given to the jail on a tmpfs at start; never in a layer, plan, log or argument."""

    name: Name = Field(description="Name, shown instead of the value.")
    source: SecretSource = Field(alias="from", description="Where the host reads it.")
    path: JailPath = Field(description="File in the jail.")
    owner: Account = Field("root", description="Owner by name in the jail.")
    mode: Mode = Field("0400", description="Mode of the file, in quotes.")


class SecretSource(Model):
    """Where a secret comes from: exactly one of file and command."""

    file: AbsolutePath | None = Field(None, description="File on the host, readable by root only.")
    command: Argv | None = Field(None, description="Program on the host that prints it.")


class Healthcheck(Model):
    """What says that a started jail works; a new root that fails it is put back."""

    command: Argv = Field(description="Program and arguments, run in the jail; exit status 0 is healthy.")
    interval: Duration = Field(10.0, description="Time between tries.")
    timeout: Duration = Field(30.0, description="Longest time one try may take.")
    retries: Annotated[int, Field(ge=1, le=1000)] = Field(3, description="Failures in a row that mean unhealthy.")
    start_period: Duration = Field(0.0, description="Time after start in which failures do not count.")


class Update(Model):
    """How a changed root replaces the running one."""

    strategy: Literal["replace", "in_place"] = Field("replace", description="`replace` builds beside the old root; `in_place` comes with patching.")
    keep: Annotated[int, Field(ge=1, le=100)] = Field(2, description="How many old generations stay for rollback.")


DriftMode = Literal["correct", "warn", "ignore"]


class Drift(Model):
    """What to do when the host differs from the spec and the spec did not change."""

    default: DriftMode = Field("correct", description="For every field not named below.")
    state: DriftMode | None = Field(None, description="Running or stopped.")
    parameters: DriftMode | None = Field(None, description="jail(8) parameters of the running jail.")
    mounts: DriftMode | None = Field(None, description="Mounts of the running jail.")
    limits: DriftMode | None = Field(None, description="rctl(8) rules.")
    network: DriftMode | None = Field(None, description="Addresses, bridge membership, pf rules.")
    devfs: DriftMode | None = Field(None, description="The devfs(8) ruleset.")
    volumes: DriftMode | None = Field(None, description="Properties of volumes.")


class Jail(Model):
    """One jail of one or more hosts."""

    kind: Literal["Jail"] = Field("Jail", description="The kind of document.")
    name: Name = Field(description="Name of the jail; unique on a host.")
    labels: dict[str, Label] = Field({}, description="Free key: value marks.")
    hosts: tuple[str, ...] = Field((), description="Names of Host documents it belongs to; all hosts when absent.")
    release: ReleaseName | None = Field(None, description="Release, such as 15.1-RELEASE; the Host's default when absent.")
    patch_level: Annotated[int, Field(ge=0)] | Literal["latest"] = Field("latest", description="Patch level of the release, a number or `latest`.")
    packages: tuple[JailPackage, ...] = Field((), description="Jail packages, applied in this order.")
    pkg: tuple[PackageName, ...] = Field((), description="FreeBSD packages, installed as one layer.")
    makejail: Makejail | None = Field(None, description="How the root is built further.")
    state: Literal["running", "stopped"] = Field("running", description="Whether the jail should run.")
    boot: bool = Field(True, description="Whether rc.d/reconciler_jails starts it when the host boots.")
    depends_on: tuple[Name, ...] = Field((), description="Jails that must run before this one starts.")
    hostname: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]{1,255}$", description="host.hostname; the jail's name when absent.")
    network: NetworkSpec = Field(NetworkSpec(), description="How it reaches the network; none when absent.")
    volumes: tuple[Volume, ...] = Field((), description="Durable data.")
    keep: tuple[JailPath, ...] = Field((), description="Files and folders carried from one root to the next, beside the defaults.")
    ignore: tuple[JailPath, ...] = Field((), description="Paths whose changes may be lost with a root; globs allowed.")
    secrets: tuple[Secret, ...] = Field((), description="Secrets, given on a tmpfs at start.")
    mounts: tuple[Mount, ...] = Field((), description="Further mounts.")
    limits: dict[str, str | int] = Field({}, description="rctl(8) limits: `memoryuse: 512M` denies; `resource:action: amount[/per]`.")
    devfs: tuple[str, ...] = Field((), description="Further devfs(8) rules, such as `path bpf* unhide`.")
    parameters: dict[str, str | int | bool] = Field({}, description="Any jail(8) parameter that no other field sets.")
    healthcheck: Healthcheck | None = Field(None, description="What says that it works.")
    update: Update = Field(Update(), description="How a changed root replaces the running one.")
    drift: Drift = Field(Drift(), description="What to do about drift, per field.")
    protect: bool = Field(False, description="Never removed, whatever the specs and flags say, until this is unset.")
    renamed_from: Name | None = Field(None, description="Its former name; volumes and state move with it.")


class Trust(Model):
    """What a MANIFEST must match before a release is believed."""

    policy: Literal["https", "pinned", "manifests-dir"] = Field("https", description="https: the mirror's own over TLS (or loopback, file:); pinned: `digest`; manifests-dir: an installed copy.")
    digest: Digest | None = Field(None, description="SHA256 of MANIFEST, for `pinned`.")
    directory: AbsolutePath | None = Field(None, description="Folder of installed MANIFESTs, for `manifests-dir`.")


class Release(Model):
    """Where a release comes from, and what makes it trusted."""

    kind: Literal["Release"] = Field("Release", description="The kind of document.")
    name: ReleaseName = Field(description="Release, such as 15.1-RELEASE.")
    hosts: tuple[str, ...] = Field((), description="Names of Host documents it is for; all when absent.")
    mirror: str | None = Field(None, description="URL (https:, http:, file:) of the folder that holds MACHINE/ARCH/RELEASE; FreeBSD's when absent.")
    sets: tuple[PackageName, ...] = Field(("base",), description="Distribution sets, such as base, lib32.")
    trust: Trust = Field(Trust(), description="What makes its MANIFEST trusted.")


class Package(Model):
    """A jail package that specs may name."""

    kind: Literal["Package"] = Field("Package", description="The kind of document.")
    name: PackageName = Field(description="Name that jails use.")
    version: str | None = Field(None, description="Version, for people.")
    hosts: tuple[str, ...] = Field((), description="Names of Host documents it is for; all when absent.")
    release: ReleaseName = Field(description="Release it was recorded on.")
    patch_level: Annotated[int, Field(ge=0)] | None = Field(None, description="Patch level it was recorded on; any of the release when absent.")
    source: str = Field(description="Where the archive lies: a path relative to this file, file: or http(s): URL.")
    digest: Digest = Field(description="SHA256 of the archive.")


class Match(Model):
    """Which machine a Host document is for."""

    hostname: str | None = Field(None, description="kern.hostname of the machine; shell globs allowed.")
    labels: dict[str, Label] = Field({}, description="Labels given on the machine with --label.")


class Policy(Model):
    """What this host allows."""

    host_code: Literal["allow", "deny", "listed"] = Field("allow", description="Whether Makejails may run code on the host (RAW, CMD --local).")
    host_code_allowed: tuple[str, ...] = Field((), description="Jails that may, for `listed`.")
    unpinned: Literal["warn", "deny"] = Field("warn", description="What to do about network content that nothing pins.")
    min_free: Size = Field(0, description="Builds are refused below this much free space.")
    max_prune_percent: Annotated[int, Field(ge=0, le=100)] = Field(20, description="More than this share of jails going (and at least 3) needs --allow-prune.")


class Build(Model):
    """How build jails reach the network."""

    network: Literal["inherit", "none", "vnet"] = Field("inherit", description="inherit: the host's stack.")


class Defaults(Model):
    """What jails of this host have when they do not say."""

    release: ReleaseName | None = Field(None, description="Release of jails without one.")
    patch_level: Annotated[int, Field(ge=0)] | Literal["latest"] | None = Field(None, description="Patch level of jails without one.")
    boot: bool | None = Field(None, description="Whether jails start at boot.")
    resolver: tuple[Address, ...] | None = Field(None, description="Name servers.")
    ignore: tuple[JailPath, ...] = Field((), description="Paths ignored in every jail.")
    log_volume: bool = Field(True, description="Give every jail a volume `log` at /var/log.")


class Host(Model):
    """One machine: which it is, where things lie, what it allows."""

    kind: Literal["Host"] = Field("Host", description="The kind of document.")
    name: Name = Field(description="Name used in `hosts:`.")
    match: Match = Field(description="Which machine this is.")
    pool: str = Field("zroot/reconciler", pattern=r"^[A-Za-z][A-Za-z0-9_.:-]*(/[A-Za-z0-9_.:-]+)+$", description="Dataset below which everything lies.")
    mountpoint: AbsolutePath = Field("/reconciler", description="Where that dataset is mounted.")
    external: Interface | None = Field(None, description="Interface that faces the outside, for NAT and exposed ports.")
    defaults: Defaults = Field(Defaults(), description="What jails have when they do not say.")
    policy: Policy = Field(Policy(), description="What this host allows.")
    build: Build = Field(Build(), description="How build jails reach the network.")


Document = Jail | Release | Package | Host
KINDS: dict[str, type[Jail | Release | Package | Host]] = {"Jail": Jail, "Release": Release, "Package": Package, "Host": Host}

Secret.model_rebuild()
