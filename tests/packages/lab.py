"""A pool on the embedded host with nothing in it but datasets to record: no release, no jail of ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from reconciler.cache import Cache
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.sandbox import processes
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.kind import Place, make_dataset
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.ports import Facts, Request
from reconciler.packages.capture import Captured, capture
from reconciler.packages.delta import Delta
from reconciler.packages.layout import END, header, padding, stamp
from reconciler.site import LocalSite

POOL = "zroot/reconciler"
FOLDERS = ("bin", "dev", "etc", "sbin", "usr/bin", "usr/sbin", "var/run", *sorted(processes.HIDDEN_NAMES))
"""What a jail needs, and what the embedded host puts into a root where programs run."""


class Lab:
    """One machine, and a site on it. `runner` may be wrapped to fail."""

    def __init__(self, folder: Path) -> None:
        """A new machine below the folder."""
        self.machine = Machine(folder / "host")
        self.plain = SandboxRunner(self.machine)
        self.folder = folder
        self.site = self.over(self.plain)
        for name in ("", "/layers"):
            make_dataset(self.site, POOL + name, {"mountpoint": f"/reconciler{name}"})

    def over(self, runner: Runner) -> LocalSite:
        """A site that works through this runner."""
        host = FreeBSDHost(runner, "sandbox:lab")
        request = Request("", "", frozenset({"facts"}))
        facts = host.parse(request, host.observe(request)).facts
        assert isinstance(facts, Facts)
        place = Place(POOL, "/reconciler", facts.hostid)
        return LocalSite(host, place, Cache(self.folder / "cache"), facts, "2026-11-22")

    def do(self, *argv: str, stdin: bytes | Iterable[bytes] = b"") -> Completed:
        """Run a command that has to succeed."""
        done = self.plain.run(Command(argv, stdin=stdin))
        assert done.status == 0, (argv, done.stderr)
        return done

    def dataset(self, name: str) -> str:
        """A new dataset, mounted at /NAME, with the folders that a jail needs."""
        self.do("zfs", "create", "-o", f"mountpoint=/{name}", f"zroot/{name}")
        for folder in FOLDERS:
            self.do("mkdir", "-p", f"/{name}/{folder}")
        return f"zroot/{name}"

    def snapshot(self, name: str) -> str:
        """Take it."""
        self.do("zfs", "snapshot", name)
        return name

    def path(self, name: str) -> bytes:
        """Where a path of the machine is on this one, to be written to."""
        return os.fsencode(self.machine.resolve(name))

    def whole(self, name: str) -> Captured:
        """Everything below a folder of the machine."""
        data = self.do("tar", "--format", "pax", "-C", f"/{name}", "-cf", "-", ".").stdout
        return capture([data])

    def rows(self) -> set[str]:
        """Every dataset and snapshot below our pool."""
        listed = self.do("zfs", "list", "-Hr", "-t", "all", "-o", "name", POOL).stdout.decode()
        return set(listed.split())

    def left(self) -> tuple[set[str], str, str]:
        """What must be as before once a reading is over: datasets, mounts, jails."""
        return self.rows(), self.do("mount").stdout.decode(), self.do("jls").stdout.decode()

    def close(self) -> None:
        """End every process."""
        processes.kill_everything(self.machine)


def payload(change: Delta, content: Callable[..., Iterable[bytes]]) -> Iterable[bytes]:
    """The archive of a package's entries, uncompressed."""
    when = stamp(change.entries)
    for entry in change.entries:
        yield header(entry, when)
        if entry.has_content:
            yield from content(entry)
            yield bytes(padding(entry.size))
    yield END
