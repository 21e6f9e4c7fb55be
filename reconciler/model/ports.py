"""The narrow waist: what kinds may ask of a host. Drivers supply exactly this.

Observation is one value, `Observed`, read in one go; the changing verbs are few and bare.
Every verb raises `HostError` and nothing else; a verb returns when the command succeeded, and the
executor observes again before it believes that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.model.command import Completed, Output
from reconciler.model.quick import quick


@quick
@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset or snapshot of `zfs list -Hp`. Sizes in bytes; `-` is absent from the mappings. `holds` counts.

    `user` holds the properties asked for below `reconciler:`, by the part after the colon.
    """

    name: str
    kind: str
    guid: str
    origin: str
    mountpoint: str
    canmount: str
    mounted: bool
    jailed: bool
    readonly: bool
    keystatus: str
    encryptionroot: str
    written: int
    used: int
    available: int
    native: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    holds: int = 0


@quick
@dataclass(frozen=True, slots=True)
class JailRow:
    """One running jail of `jls --libxo json`; `parameters` as jls prints them, booleans as true/false."""

    jid: int
    name: str
    path: str
    dying: bool
    parameters: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class MountRow:
    """One mount of `mount --libxo json`."""

    source: str
    target: str
    fstype: str
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InterfaceRow:
    """One interface of `ifconfig -a`; addresses as `10.77.0.1/24`."""

    name: str
    flags: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    ether: str = ""
    description: str = ""
    groups: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the host is. `features` maps a condition (racct, pf, forwarding, vimage) to whether it is met."""

    hostname: str
    hostid: str
    osrelease: str
    osreldate: int
    machine: str
    arch: str
    securelevel: int
    features: Mapping[str, bool] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """What to read. `facets` empty means all of FACETS; `roots` narrows `zfs list -r`; `below` narrows files."""

    pool: str
    mountpoint: str
    facets: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    extra_pools: tuple[str, ...] = ()


FACETS = frozenset(
    {"facts", "datasets", "jails", "mounts", "interfaces", "limits", "firewall", "translation", "devices", "files"}
)
"""What can be read; `translation` are pf's main rules, by which `facts` say whether pf is on and calls our anchor."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the host showed. A facet that was not asked for is empty.

    `pool_state` is `ready`, `absent` (the pool is imported, our dataset does not exist yet),
    `waiting` (not imported, key not loaded, parent not mounted: never taken for absent), or
    `refused` (no ZFS, a boot environment); `pool_reason` says why. `pools` says the same of each
    of the request's extra pools, by its name, as (state, reason).
    `limits` are rctl rules as printed; `firewall` the pf anchors of ours that have any rule, by
    their whole names (`reconciler/web`);
    `devices` the numbers of devfs rulesets; `files` our configuration by path relative to the mountpoint.
    """

    facts: Facts | None = None
    pool_state: str = "ready"
    pool_reason: str = ""
    pools: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    datasets: tuple[DatasetRow, ...] = ()
    jails: tuple[JailRow, ...] = ()
    mounts: tuple[MountRow, ...] = ()
    interfaces: tuple[InterfaceRow, ...] = ()
    limits: frozenset[str] = frozenset()
    firewall: frozenset[str] = frozenset()
    devices: frozenset[int] = frozenset()
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """The raw answer: `digest` covers every byte read, `parse` gives the values."""

    digest: str
    raw: tuple[Completed, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of `zfs diff -FHt`: op is + - M R; `path` and `renamed` are absolute on the host."""

    op: str
    type: str
    path: str
    renamed: str = ""


class Datasets(Protocol):
    """zfs(8). Names are whole (`pool/a/b`), properties as `name: value` with user ones whole (`reconciler:owner`).

    `created` says when datasets and snapshots were made, in seconds since 1970.
    """

    def create(self, name: str, properties: Mapping[str, str]) -> None: ...
    def clone(self, snapshot: str, name: str, properties: Mapping[str, str]) -> None: ...
    def copy(self, snapshot: str, target: str, properties: Mapping[str, str]) -> None: ...
    def snapshot(self, names: Sequence[str], properties: Mapping[str, str]) -> None: ...
    def set(self, name: str, properties: Mapping[str, str], *, remount: bool = True) -> None: ...
    def unset(self, name: str, property_: str) -> None: ...
    def destroy(self, name: str) -> None: ...
    def rename(self, name: str, new: str) -> None: ...
    def mount(self, name: str) -> None: ...
    def hold(self, tag: str, snapshot: str) -> None: ...
    def release(self, tag: str, snapshot: str) -> None: ...
    def guid(self, name: str) -> str: ...
    def created(self, names: Sequence[str]) -> Mapping[str, int]: ...
    def local(self, name: str, properties: Sequence[str]) -> Mapping[str, str]: ...
    def diff(self, snapshot: str, head: str) -> tuple[Change, ...]: ...


class Mounts(Protocol):
    """mount(8), umount(8)."""

    def mount(self, fstype: str, source: str, target: str, options: str = "rw") -> None: ...
    def unmount(self, target: str, *, force: bool = False) -> None: ...


class Jails(Protocol):
    """jail(8), jexec(8). `conf` is the jail's own jail.conf; it is used to start and to stop."""

    def check(self, conf: str) -> None: ...
    def start(self, conf: str, name: str, output: Output | None = None) -> None: ...
    def stop(self, conf: str, name: str, output: Output | None = None) -> None: ...
    def create(self, name: str, parameters: Mapping[str, str]) -> None: ...
    def remove(self, name: str) -> None: ...
    def modify(self, name: str, parameters: Mapping[str, str]) -> None: ...
    def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout: float = 600.0,
        output: Output | None = None,
        sink: Output | None = None,
    ) -> Completed: ...
    def processes(self, name: str) -> tuple[str, ...]: ...


class Files(Protocol):
    """Files of the host. `extract` unpacks a tar stream of any compression below a folder of ours.

    `write_all` writes files (path below a folder of ours, content, mode) in order, each by rename.

    `send` gives a large file to `sink`, in order; `sha256` is in hexadecimal, "" where there is no file; `names` are
    those of what a folder holds, in no order, none where there is no folder.
    """

    def read(self, path: str) -> bytes | None: ...
    def write(self, path: str, data: bytes, mode: int = 0o600) -> None: ...
    def write_all(self, folder: str, files: Sequence[tuple[str, bytes, int]]) -> None: ...
    def remove(self, path: str) -> None: ...
    def clear(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def listed(self, path: str, kind: str) -> tuple[str, ...]: ...
    def mkdir(self, path: str, mode: int = 0o755) -> None: ...
    def chmod(self, path: str, mode: int) -> None: ...
    def extract(self, archive: Iterable[bytes], target: str) -> None: ...
    def send(self, path: str, sink: Output) -> None: ...
    def sha256(self, path: str) -> str: ...
    def names(self, folder: str) -> tuple[str, ...]: ...
    def script(
        self, path: str, env: Mapping[str, str], *, timeout: float = 6 * 3600.0, output: Output | None = None,
        stdin: bytes | Iterable[bytes] = b"",
    ) -> Completed: ...  # fmt: skip
    def lock(self, path: str, holder: str) -> AbstractContextManager[None]: ...


class Network(Protocol):
    """ifconfig(8), pfctl(8). `create_epair` answers the name of its first end, which is up and has the description."""

    def create_bridge(self, name: str, description: str) -> None: ...
    def create_epair(self, description: str) -> str: ...
    def describe(self, interface: str, description: str) -> None: ...
    def destroy(self, interface: str) -> None: ...
    def add_member(self, bridge: str, interface: str) -> None: ...
    def add_address(self, interface: str, address: str) -> None: ...
    def remove_address(self, interface: str, address: str) -> None: ...
    def load_anchor(self, anchor: str, rules: str) -> None: ...
    def flush_anchor(self, anchor: str) -> None: ...


class Limits(Protocol):
    """rctl(8). A rule is `jail:NAME:resource:action=amount[/per]`."""

    def add(self, rule: str) -> None: ...
    def remove(self, rule: str) -> None: ...


class Devices(Protocol):
    """devfs(8) rulesets."""

    def load(self, number: int, rules: Sequence[str]) -> None: ...
    def delete(self, number: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """A package in a repository's catalogue. `checksum` is that of its archive, "" where pkg does not tell."""

    name: str
    version: str
    repository: str = ""
    checksum: str = ""
    needs: tuple[str, ...] = ()


class Packages(Protocol):
    """pkg(8) of the host, working inside a running jail.

    `offered` asks the catalogues of a jail, or those of the host for an ABI, for packages and all that they need;
    one that is not there is left out. `meant` maps each word that `install` takes for packages (a name, one with its
    version, an origin) to their names; one that is not there is left out. `installed` maps names to versions.
    `fetch` puts archives below a folder, of the packages that a repository of the host (any for "") has in these very
    versions, and says which versions of them it has. All raise HostError.
    """

    def install(self, jail: str, names: Sequence[str], *, output: Output | None = None) -> Completed: ...
    def offered(self, names: Sequence[str], *, jail: str = "", abi: str = "") -> Mapping[str, Offer]: ...
    def meant(self, words: Sequence[str], *, abi: str) -> Mapping[str, tuple[str, ...]]: ...
    def installed(self, jail: str) -> Mapping[str, str]: ...
    def fetch(
        self, versions: Mapping[str, str], folder: str, abi: str, repository: str, *, output: Output | None = None
    ) -> Mapping[str, str]: ...


class Patches(Protocol):
    """freebsd-update(8) of the host, over the tree `base`, with a work folder and a configuration of our own.

    `release` is what the tree holds (15.1-RELEASE-p1). Both return how it ended, whatever its status, and raise
    HostError when it cannot run. What was fetched is installed from inside a jail: see `Jails.exec`.
    """

    def fetch(self, base: str, work: str, config: str, release: str, *, output: Output | None = None) -> Completed: ...
    def ready(self, base: str, work: str, config: str, release: str) -> Completed: ...


class BasePackages(Protocol):
    """pkg(8) of the host for base systems made of packages, with a work folder of our own (see `releases.pkgbase`).

    `update` has the catalogue of the repository, `offered` says what is in it, `fetch` makes a repository of some of
    its packages in the work folder, from which `upgrade` brings a running jail to the newest, and `install` fills an
    empty tree. `installed` has versions by name of what is in a jail. `abi` is as FreeBSD:15:amd64. What a command
    ended with is the caller's to judge; all raise HostError when it cannot run.
    """

    def update(self, work: str, abi: str, *, output: Output | None = None) -> Completed: ...
    def offered(self, work: str, abi: str) -> Mapping[str, Offer]: ...
    def fetch(self, work: str, abi: str, names: Sequence[str], *, output: Output | None = None) -> Completed: ...
    def installed(self, jail: str) -> Mapping[str, str]: ...
    def upgrade(self, jail: str, abi: str, *, output: Output | None = None) -> Completed: ...
    def install(
        self, tree: str, work: str, abi: str, names: Sequence[str], *, output: Output | None = None
    ) -> Completed: ...


class Host(Protocol):
    """Everything a kind may ask of a host."""

    @property
    def url(self) -> str: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def mounts(self) -> Mounts: ...
    @property
    def jails(self) -> Jails: ...
    @property
    def files(self) -> Files: ...
    @property
    def network(self) -> Network: ...
    @property
    def packages(self) -> Packages: ...
    @property
    def patches(self) -> Patches: ...
    @property
    def base(self) -> BasePackages: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def devices(self) -> Devices: ...

    def observe(self, request: Request) -> Observation:
        """Read everything asked for, in at most 9 commands and one round trip."""
        ...

    def parse(self, request: Request, observation: Observation) -> Observed:
        """Make values of what was read. Raises HostError (code `unreadable-output`) on surprises."""
        ...

    def rows(self, observation: Observation, wanted: Callable[[str], bool]) -> tuple[DatasetRow, ...]:
        """The datasets and snapshots whose names are wanted, without a look at the others. Raises HostError."""
        ...

    def concerning(self, observation: Observation, names: Iterable[str]) -> Observation:
        """The datasets, jails, mounts and limits of an answer in which one of these names stands, and maybe others."""
        ...

    def differing(self, before: Observation, after: Observation) -> tuple[Observation, Observation] | None:
        """The datasets, jails, mounts and limits that only the one answer has, and only the other; files not.

        None where anything else differs, or it cannot be told: then both have to be parsed. Sizes of datasets are
        not looked at; what is in neither part is the same in both, and in the same order.
        """
        ...
