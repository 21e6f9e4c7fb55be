"""A dataset of ours, mounted at a place of its own while it is being made; and the build jail over it.

Names derive from the dataset, so the next run finds and clears away what a killed one left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from reconciler.build import vnet
from reconciler.build.unmount import unmount_all
from reconciler.model.action import Site
from reconciler.model.command import Completed, Output
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.runtime import HELPER

DEVFS_RULESET = 4  # devfsrules_jail of /etc/defaults/devfs.rules
SYSV = ("sysvmsg", "sysvsem", "sysvshm")
"""System V's ways of processes to talk to each other, of the jail's own where the kernel has them: initdb of PostgreSQL
wants them, and a jail has none that does not ask (jail(8))."""


class Workspace:
    """One dataset being made. As a context it ends unmounted, with no jail and nothing below it mounted."""

    def __init__(self, site: Site, dataset: str) -> None:
        """Nothing happens yet."""
        self.site = site
        self.dataset = dataset
        self.mark = hashlib.sha256(dataset.encode()).hexdigest()[:12]
        self.jail = f"rcb-{self.mark}"
        self.path = f"{site.mountpoint}/build/{self.mark}"
        self.work = f"{self.path}.work"
        self._plugged = False

    def __enter__(self) -> Self:
        """Clear away what an interrupted run left at this place."""
        self.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind, whether it went well or not."""
        try:
            self.clear()
        except HostError:
            if error is None:
                raise

    def clear(self) -> None:
        """Remove the build jail and unmount everything at or below the place, innermost first."""
        self._clear(inside=False)

    def _clear(self, *, inside: bool) -> None:
        seen = self.site.observe("jails", "mounts")
        # A MOUNT that was cut off may have left the short-lived jail that mounts for it.
        for name in (f"{HELPER}{self.jail}", self.jail):
            if any(row.name == name for row in seen.jails):
                self.site.host.jails.remove(name)
        if self._plugged:
            vnet.unplug(self.site, self.path)
            self._plugged = False
        below = [m.target for m in seen.mounts if m.target.startswith(self.path + "/")]
        below += [m.target for m in seen.mounts if m.target == self.path and not inside]
        unmount_all(self.site, below)

    def discard_unfinished(self) -> None:
        """Destroy the dataset if it has no snapshot: it was left by an interrupted run and holds nothing finished.

        Raises HostError (code `dataset-foreign`) when a dataset that is not ours stands there.
        """
        rows = self.site.observe("datasets", roots=(self.dataset,)).datasets
        head = next((row for row in rows if row.name == self.dataset), None)
        if head is None:
            return
        marks = (f"{self.site.hostid}:{head.guid}", f"{self.site.hostid}:new:{self.dataset}")
        if head.user.get("owner") not in marks or head.jailed:
            raise HostError(
                Diagnostic(
                    "dataset-foreign",
                    "A dataset that is not ours stands in the way",
                    f"{self.dataset} exists, but it carries no mark of this host.",
                    f"zfs rename {self.dataset} SOMEWHERE/ELSE",
                )
            )
        if any(row.kind == "snapshot" for row in rows):
            raise HostError(
                Diagnostic(
                    "dataset-unexpected",
                    "An unfinished dataset has snapshots of its own",
                    f"{self.dataset} was left unfinished, and somebody took snapshots of it: "
                    + ", ".join(row.name for row in rows if row.kind == "snapshot"),
                    f"Look at it, then: zfs destroy -r {self.dataset}",
                )
            )
        self.site.host.datasets.destroy(self.dataset)

    def mount(self, options: str = "rw") -> None:
        """Mount the dataset at the place."""
        self.site.host.files.mkdir(self.path, 0o700)
        self.site.host.mounts.mount("zfs", self.dataset, self.path, options)

    def start(
        self, *, network: bool, hostname: str = "build", mount: str = "", stack: vnet.Stack | None = None
    ) -> None:
        """Make the build jail over the mounted dataset: devices, no address of a live jail.

        With `network` it shares the host's stack, or has that `stack` for itself; without, it has none. `mount` is a
        line of fstab(5) that jail(8) mounts before it starts. Raises HostError (`devfs-ruleset-empty` among others).
        """
        seen = self.site.observe("devices", "facts")
        if DEVFS_RULESET not in seen.devices:
            raise HostError(_no_ruleset(self.dataset))
        # jail(8) mounts devfs itself: it refuses a symbolic link at /dev, which a hostile layer might hold.
        way = "inherit" if network else "disable"
        inside, address = self._plug(stack) if stack is not None and network else ("", "")
        parameters = {
            "path": self.path,
            "host.hostname": hostname,
            **({"vnet": "", "vnet.interface": inside} if inside else {"ip4": way, "ip6": way}),
            "allow.chflags": "1",
            "mount.devfs": "true",
            "devfs_ruleset": str(DEVFS_RULESET),
            "persist": "1",
            **{name: "new" for name in SYSV if seen.facts is not None and name in seen.facts.parameters},
        }
        if mount:
            parameters["mount"] = mount
        self.site.host.jails.create(self.jail, parameters)
        if stack is not None and inside:
            self._connect(vnet.commands(inside, address, stack.vnet))

    def _plug(self, stack: vnet.Stack) -> tuple[str, str]:
        self._plugged = True
        return vnet.plug(self.site, self.path, self.mark, stack)

    def _connect(self, script: str) -> None:
        done = self.exec(("/bin/sh", "-c", script), timeout=60.0)
        if done.status:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
            detail = f"In the build jail over {self.dataset}, `{script}` ended with status {done.status}. {said}"
            hint = "Check build.vnet of the Host document; `network: inherit` builds with the host's own stack."
            found = Diagnostic("build-network-failed", "A build jail has no network", detail, hint)
            raise HostError(found, argv=done.argv, status=done.status, stderr=said)

    def stop(self) -> None:
        """Remove the build jail and what is mounted inside it; the dataset stays mounted at the place."""
        self._clear(inside=True)

    def exec(
        self,
        argv: Iterable[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        output: Output | None = None,
        sink: Output | None = None,
        timeout: float = 6 * 3600.0,
    ) -> Completed:
        """Run a program of the root inside the build jail."""
        jails = self.site.host.jails
        return jails.exec(self.jail, tuple(argv), stdin=stdin, output=output, sink=sink, timeout=timeout)

    def script(self, path: str, env: Mapping[str, str], output: Output | None, timeout: float) -> Completed:
        """Run a script of ours on the host, which reaches into the build jail, for at most `timeout` seconds."""
        return self.site.host.files.script(path, env, timeout=timeout, output=output)


def _no_ruleset(dataset: str) -> Diagnostic:
    # Seen on FreeBSD 15.1: devfs mounted with a ruleset that has no rules shows every device of the host.
    return Diagnostic(
        "devfs-ruleset-empty",
        "The devfs rules for jails are not loaded",
        f"Ruleset {DEVFS_RULESET} has no rules, so a jail over {dataset} would see every device of the host.",
        "service devfs onestart",
    )
