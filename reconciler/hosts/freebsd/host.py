"""The FreeBSD host: every facet over one Runner, whether local, over ssh, or the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.hosts.freebsd import observe, records
from reconciler.hosts.freebsd.devfs import HostDevices
from reconciler.hosts.freebsd.files import HostFiles
from reconciler.hosts.freebsd.jail import JailJails
from reconciler.hosts.freebsd.mount import HostMounts
from reconciler.hosts.freebsd.network import HostNetwork
from reconciler.hosts.freebsd.pkg import HostPackages
from reconciler.hosts.freebsd.pkgbase import HostBase
from reconciler.hosts.freebsd.rctl import HostLimits
from reconciler.hosts.freebsd.update import HostPatches
from reconciler.hosts.freebsd.zfs import ZFSDatasets
from reconciler.model import ports
from reconciler.model.command import Runner


class FreeBSDHost:
    """Implements `ports.Host` over any Runner that answers FreeBSD's command lines."""

    def __init__(self, runner: Runner, url: str = "freebsd:", *, jailed: bool = True) -> None:
        """Work through `runner`; `jailed` is False where ZFS has no such property (Linux)."""
        self.runner = runner
        self._url = url
        self._jailed = jailed
        self._datasets = ZFSDatasets(runner)
        self._mounts = HostMounts(runner)
        self._jails = JailJails(runner)
        self._files = HostFiles(runner)
        self._network = HostNetwork(runner)
        self._packages = HostPackages(runner)
        self._patches = HostPatches(runner)
        self._base = HostBase(runner)
        self._limits = HostLimits(runner)
        self._devices = HostDevices(runner)

    @property
    def url(self) -> str:
        """Where the host is, as the user wrote it."""
        return self._url

    @property
    def datasets(self) -> ports.Datasets:
        """zfs(8)."""
        return self._datasets

    @property
    def mounts(self) -> ports.Mounts:
        """mount(8)."""
        return self._mounts

    @property
    def jails(self) -> ports.Jails:
        """jail(8), jexec(8)."""
        return self._jails

    @property
    def files(self) -> ports.Files:
        """Files of the host."""
        return self._files

    @property
    def network(self) -> ports.Network:
        """ifconfig(8), pfctl(8)."""
        return self._network

    @property
    def packages(self) -> ports.Packages:
        """pkg(8)."""
        return self._packages

    @property
    def patches(self) -> ports.Patches:
        """freebsd-update(8)."""
        return self._patches

    @property
    def base(self) -> ports.BasePackages:
        """pkg(8), for base systems made of packages."""
        return self._base

    @property
    def limits(self) -> ports.Limits:
        """rctl(8)."""
        return self._limits

    @property
    def devices(self) -> ports.Devices:
        """devfs(8)."""
        return self._devices

    def observe(self, request: ports.Request) -> ports.Observation:
        """Read everything asked for. Raises HostError when the host cannot be reached."""
        return observe.observe(self.runner, request, jailed=self._jailed)

    def parse(self, request: ports.Request, observation: ports.Observation) -> ports.Observed:
        """Make values of what was read. Raises HostError for a command that failed or is not understood."""
        return observe.parse(request, observation, jailed=self._jailed)

    def rows(self, observation: ports.Observation, wanted: Callable[[str], bool]) -> tuple[ports.DatasetRow, ...]:
        """The datasets whose names are wanted. Raises HostError for rows that are not understood."""
        return observe.rows(observation, wanted, jailed=self._jailed)

    def concerning(self, observation: ports.Observation, names: Iterable[str]) -> ports.Observation:
        """What of an answer names one of these."""
        return records.concerning(observation, names)

    def differing(
        self, before: ports.Observation, after: ports.Observation
    ) -> tuple[ports.Observation, ports.Observation] | None:
        """What only the one answer has, and only the other; None where that is not plain to see."""
        return records.differing(before, after)
