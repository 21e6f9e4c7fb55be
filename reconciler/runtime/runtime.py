"""What the files of one jail depend on, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.quick import quick
from reconciler.runtime.names import Names, names
from reconciler.spec.document import Jail, Vnet, Volume

SECRETS = "/run/secrets"
"""The tmpfs of secrets. Not below /var/run: rc.d/cleanvar of the jail empties that at start."""

DEFAULT_KEEP = ("/etc/ssh/ssh_host_*", "/etc/machine-id", "/var/cron/tabs", "/var/mail")


@quick
@dataclass(frozen=True, slots=True)
class Runtime:
    """All that the runtime files of a jail depend on. `jail` has the host's defaults applied.

    `root` is the dataset of the live generation, `osrelease` that root's release, `stages` the sh
    script of each Makejail stage by name (`start`, `prestop`, `custom:x` ...).
    """

    jail: Jail
    pool: str
    mountpoint: str
    root: str
    hostid: str
    osrelease: str
    host_osrelease: str
    external: str | None = None
    devfs_ruleset: int = 4
    stages: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The jail's name."""
        return self.jail.name

    @property
    def folder(self) -> str:
        """Where the files lie."""
        return f"{self.mountpoint}/jails/{self.name}"

    @property
    def live(self) -> str:
        """The stable path of the root."""
        return f"{self.mountpoint}/live/{self.name}"

    @property
    def state(self) -> str:
        """Folder of what is carried from root to root; a dataset of its own is mounted there."""
        return f"{self.mountpoint}/state/{self.name}"

    @property
    def state_dataset(self) -> str:
        """The dataset of `state`."""
        return f"{self.pool}/state/{self.name}"

    @property
    def names(self) -> Names:
        """Derived names."""
        return names(self.hostid, self.name)

    @property
    def vnet(self) -> Vnet | None:
        """The jail's own network stack, if it has one."""
        return self.jail.network.vnet

    @property
    def keep(self) -> tuple[str, ...]:
        """Paths carried from root to root, sorted; globs allowed."""
        return tuple(sorted({*DEFAULT_KEEP, *self.jail.keep}))

    def volume_dataset(self, volume: Volume) -> str:
        """The dataset of a volume."""
        return f"{volume.pool or self.pool}/volumes/{self.name}/{volume.name}"
