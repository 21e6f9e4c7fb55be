"""A sandbox behind a private sshd: whoever logs in is on the simulated host, and nowhere else."""

import getpass
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from reconciler.hosts.sandbox.machine import Machine

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """What a command line left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


class Far:
    """A host that can only be reached over ssh, and a desk from which command lines are given."""

    def __init__(self, folder: Path, mirror: str) -> None:
        """Make keys, configurations and the folder of specs below `folder`."""
        self.folder = folder
        self.box = folder / "box"
        self.log = folder / "sessions"
        self.specs = folder / "specs"
        self.specs.mkdir()
        self.mirror = mirror
        self.url = f"ssh://{getpass.getuser()}@far"
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RECONCILER_SSH": f"ssh -F {folder}/config",
            "RECONCILER_JOURNAL": f"{folder}/journal.db",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self._keys()

    def _keys(self) -> None:
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        (self.folder / "known").write_text("far " + (self.folder / "host.pub").read_text())
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd gives up its privileges
        # csh(1) was root's login shell before FreeBSD 14: what it is, the first words must not care.
        (self.folder / "login").write_text(
            f"#!/bin/sh\necho $PPID >> {self.log}\nPYTHONPATH={ROOT} exec {sys.executable} -m"
            f' reconciler.hosts.sandbox.shim {self.box} sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        (self.folder / "login").chmod(0o755)
        (self.folder / "sshd_config").write_text(
            f"HostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nUsePAM no\n"
            "PidFile none\nPasswordAuthentication no\nPermitRootLogin yes\nMaxSessions 10\n"
            f"ForceCommand {self.folder}/login\n"
        )
        (self.folder / "config").write_text(
            f"Host far\n  ProxyCommand {SSHD} -i -f {self.folder}/sshd_config\n  IdentityFile {self.folder}/user\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.folder}/known\n  StrictHostKeyChecking yes\n"
        )

    def write(self, text: str, name: str = "fleet.yaml") -> None:
        """Replace a spec file."""
        (self.specs / name).write_text(text)

    def argv(self, *words: str) -> list[str]:
        """A command line of the product."""
        return [sys.executable, "-m", "reconciler.cli.main", *words, "--host", self.url]

    def run(self, *words: str) -> Answer:
        """Give a command line and wait for its end."""
        done = subprocess.run(
            self.argv(*words), cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=900, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def run_here(self, *words: str) -> Answer:
        """Give a command line that asks no host."""
        argv = [sys.executable, "-m", "reconciler.cli.main", *words]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=900, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def inside(self, text: str) -> str:
        """What a shell on the host says, for a look from outside of the product."""
        argv = [sys.executable, "-m", "reconciler.hosts.sandbox.shim", str(self.box), "sh", "-c", text]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sessions(self) -> int:
        """How many commands have come in over ssh."""
        return len(self.log.read_text().split()) if self.log.exists() else 0

    def cut(self) -> None:
        """Kill the servers of all connections, with no word to anybody."""
        for process in {int(word) for word in self.log.read_text().split()}:
            # The caller of a session's command is the server, or a shell of its.
            for _ in range(3):
                try:
                    name, _, rest = Path(f"/proc/{process}/stat").read_text().partition("(")[2].partition(") ")
                except OSError:
                    break
                if name.startswith("sshd"):
                    os.kill(process, signal.SIGKILL)
                process = int(rest.split()[1])

    def close(self) -> None:
        """End every jail, so that no process outlives the test."""
        Machine(self.box).reboot()


@pytest.fixture
def far(tmp_path, mirror_url):
    """A host over ssh."""
    if SSHD is None:
        pytest.fail("needs sshd: apt-get install openssh-server")
    made = Far(tmp_path, mirror_url)
    yield made
    made.close()
