"""A whole host over ssh: the sandbox's programs stand on the far side's PATH."""

from pathlib import Path

import pytest

from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.freebsd.ssh import SSHRunner
from reconciler.hosts.freebsd.target import Target
from reconciler.hosts.sandbox.shims import write_shims
from reconciler.model.command import Command
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import FACETS, Request


def test_a_host_over_ssh_is_observed_and_changed(ssh_client, tmp_path):
    write_shims(tmp_path / "shims", tmp_path / "machine")
    runner = SSHRunner(Target("loopback", options=(("path", str(tmp_path / "shims")),)), ssh_client)
    host = FreeBSDHost(runner, "ssh://loopback")
    # The sandbox's files lie in its own folder, not where the far side's shell looks for them.
    request = Request("zroot/reconciler", "/reconciler", FACETS - {"files"})
    assert host.parse(request, host.observe(request)).pool_state == "absent"
    host.datasets.create("zroot/reconciler", {"mountpoint": "/reconciler", "reconciler:owner": "a b"})
    host.network.create_bridge("lan0", "reconciler: lan")
    seen = host.parse(request, host.observe(request))
    assert (seen.pool_state, seen.datasets[0].user["owner"]) == ("ready", "a b")
    assert "lan0" in {row.name for row in seen.interfaces}
    assert seen.facts is not None
    runner.close()


def test_what_the_user_has_a_login_run_is_not_run_here(ssh_client, tmp_path):
    # With a command of its own given, ssh(1) refuses to do anything where its configuration names another.
    config = (tmp_path / "config").write_text
    config("Host loopback\n  RemoteCommand tmux\n  RequestTTY yes\n" + Path(ssh_client[2]).read_text())
    runner = SSHRunner(Target("loopback"), ("ssh", "-F", str(tmp_path / "config")))
    assert runner.run(Command(("echo", "here"))).stdout == b"here\n"
    runner.close()


def logged_in_as(ssh_client, folder, doas):
    """A client whose sshd finds `doas`, a script, on its PATH."""
    config = Path(ssh_client[2]).read_text()
    place = config.partition(" -f ")[2].split("\n")[0]
    (folder / "doas").write_text(f"#!/bin/sh\n{doas}\n")
    (folder / "doas").chmod(0o755)
    (folder / "sshd_config").write_text(f"{Path(place).read_text()}SetEnv PATH={folder}:/usr/bin:/bin\n")
    (folder / "config").write_text(config.replace(place, str(folder / "sshd_config")))
    return SSHRunner(Target.of("ssh://loopback?become=doas"), ("ssh", "-F", str(folder / "config")))


def test_a_user_who_may_become_root_does_so_for_every_command(ssh_client, tmp_path):
    log = tmp_path / "log"
    runner = logged_in_as(ssh_client, tmp_path, f'[ "$1" = -n ] || exit 9\nshift\necho "$1" >>{log}\nexec "$@"')
    assert runner.run(Command(("cat",), stdin=b"a\0b\n")).stdout == b"a\0b\n"
    runner.write(f"{tmp_path}/file", b"x")
    runner.close()
    assert log.read_text() == "/usr/bin/env\n" * 3, "the greeting, and two commands"


def test_a_user_who_may_not_become_root_is_told_what_to_allow(ssh_client, tmp_path):
    runner = logged_in_as(ssh_client, tmp_path, "echo 'doas: Authorization required' >&2; exit 1")
    with pytest.raises(HostError, match="become-refused") as caught:
        runner.run(Command(("true",)))
    assert "permit nopass" in caught.value.diagnostics[0].hint
    runner.close()
