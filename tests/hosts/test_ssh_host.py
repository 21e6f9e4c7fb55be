"""A whole host over ssh: the sandbox's programs stand on the far side's PATH."""

from pathlib import Path

from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.freebsd.ssh import SSHRunner, Target
from reconciler.hosts.sandbox.shims import write_shims
from reconciler.model.command import Command
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
