"""A private sshd on loopback, and stand-ins for the few tools of FreeBSD that Linux lacks."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.hosts.freebsd.ssh import SSHRunner
from reconciler.hosts.freebsd.target import Target

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
LOCKF = """#!/bin/sh
# lockf(1): -k -s -t 0 FILE COMMAND..., by flock(1)
[ "$1 $2 $3 $4" = "-k -s -t 0" ] || exit 64
shift 4
exec flock -E 75 -n "$@"
"""


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    if not shutil.which("lockf"):
        (folder / "lockf").write_text(LOCKF)
        (folder / "lockf").chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def ssh_client(tmp_path_factory):
    """The ssh client with a configuration that leads to a private sshd, started for each connection."""
    if SSHD is None:
        pytest.skip("needs sshd: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "known").write_text("loopback " + (folder / "host.pub").read_text())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd gives up its privileges
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxSessions 10\n"
    )
    (folder / "config").write_text(
        f"Host loopback\n  ProxyCommand {SSHD} -i -f {folder}/sshd_config\n  IdentityFile {folder}/user\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking yes\n"
    )
    return ("ssh", "-F", str(folder / "config"))


@pytest.fixture(scope="session")
def remote(ssh_client, tools):
    runner = SSHRunner(Target("loopback", options=(("path", str(tools)),)), ssh_client)
    yield runner
    runner.close()


@pytest.fixture
def local(tools):
    return LocalRunner(path=[str(tools)])


@pytest.fixture(params=["local", "remote"])
def runner(request):
    """Both ways to run commands; a test of this fixture is the contract of Runner."""
    return request.getfixturevalue(request.param)
