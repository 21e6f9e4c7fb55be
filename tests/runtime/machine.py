"""A sandbox machine with one jail in place: its datasets, a sealed root, its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox import processes
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.model.command import Command, Completed
from reconciler.runtime import files, mountpoints
from reconciler.spec.document import Jail
from tests.runtime.jails import runtime

RC = b"""echo rc of $(cat /etc/generation) runs
mkdir -p /etc/ssh
[ -f /etc/ssh/ssh_host_key ] || echo "key of $(cat /etc/generation)" > /etc/ssh/ssh_host_key
"""
SERVICE = Path(__file__).parents[2] / "rc.d" / "reconciler_jails"


class Place:
    """One machine and the few things that tests do to it."""

    def __init__(self, folder: Path) -> None:
        self.runner = SandboxRunner(Machine(folder))
        self.ok("zfs", "create", "-o", "mountpoint=/reconciler", "zroot/reconciler")
        for name in ("jails", "state", "volumes"):
            self.ok("zfs", "create", f"zroot/reconciler/{name}")

    def power_off(self) -> None:
        """End every process of the machine, without a word to any jail."""
        processes.kill_everything(self.runner.machine)

    def run(self, *argv: str, stdin: bytes = b"") -> Completed:
        """Run one command on the machine."""
        return self.runner.run(Command(argv, stdin=stdin))

    def ok(self, *argv: str) -> str:
        """Its standard output; it must succeed."""
        done = self.run(*argv)
        assert done.status == 0, (argv, done)
        return done.stdout.decode()

    def root(self, spec: Jail, number: int, *, sealed: bool = True) -> None:
        """A root of the jail with a small rc."""
        dataset, live = f"zroot/reconciler/jails/{spec.name}/{number}", f"/reconciler/live/{spec.name}"
        self.ok("zfs", "create", "-o", "mountpoint=legacy", "-o", "canmount=noauto", dataset)
        self.ok("mkdir", "-p", live)
        self.ok("mount", "-t", "zfs", dataset, live)
        for folder in ("/etc", "/tmp", "/root", "/var/mail", *mountpoints(spec)):
            self.ok("mkdir", "-p", live + folder)
        contents = {"rc": RC, "rc.shutdown": b"", "generation": b"%d\n" % number}
        for name, data in contents.items():
            self.runner.write(f"{live}/etc/{name}", data, 0o644)
        self.ok("umount", live)
        if sealed:
            self.ok("zfs", "snapshot", f"{dataset}@sealed")

    def write(self, spec: Jail, number: int, **fields: Any) -> None:
        """The runtime files, pointing at a root."""
        root = f"zroot/reconciler/jails/{spec.name}/{number}"
        self.ok("mkdir", "-p", f"/reconciler/jails/{spec.name}/bin")
        for name, (mode, text) in files(runtime(spec, root=root, **fields)).items():
            self.runner.write(f"/reconciler/jails/{spec.name}/{name}", text.encode(), mode)

    def jail(self, spec: Jail, **fields: Any) -> None:
        """Everything that a jail needs to start."""
        for name in (f"jails/{spec.name}", f"state/{spec.name}"):
            self.ok("zfs", "create", f"zroot/reconciler/{name}")
        for volume in spec.volumes:
            dataset = f"zroot/reconciler/volumes/{spec.name}/{volume.name}"
            self.ok("zfs", "create", "-p", "-o", "mountpoint=legacy", "-o", "canmount=noauto", dataset)
        self.root(spec, 1)
        self.write(spec, 1, **fields)

    def start(self, name: str) -> Completed:
        """jail -c with the jail's own file."""
        return self.run("jail", "-f", f"/reconciler/jails/{name}/jail.conf", "-c", name)

    def stop(self, name: str) -> Completed:
        """jail -r with the jail's own file."""
        return self.run("jail", "-f", f"/reconciler/jails/{name}/jail.conf", "-r", name)

    def runs(self, name: str) -> bool:
        """Whether it runs."""
        return self.run("jls", "-j", name, "jid").status == 0

    def inside(self, name: str, *argv: str) -> str:
        """Standard output of a command in the jail; it must succeed."""
        return self.ok("jexec", name, *argv)

    def mounted(self) -> list[str]:
        """What is mounted below live."""
        lines = self.ok("mount", "-p").splitlines()
        return [line.split()[1] for line in lines if line.split()[1].startswith("/reconciler/live")]

    def read(self, path: str) -> str | None:
        """A file of the host."""
        data = self.runner.read(path)
        return None if data is None else data.decode()

    def service(self, *words: str) -> Completed:
        """service reconciler_jails WORDS, installed and enabled first."""
        script = "/usr/local/etc/rc.d/reconciler_jails"
        if self.runner.read(script) is None:
            self.ok("mkdir", "-p", "/usr/local/etc/rc.d", "/etc/rc.conf.d")
            self.runner.write(script, SERVICE.read_bytes(), 0o555)
            self.runner.write("/etc/rc.conf.d/reconciler_jails", b'reconciler_jails_enable="YES"\n', 0o644)
        return self.run("service", "reconciler_jails", *words)
