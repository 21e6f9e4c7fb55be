"""The driver for this very machine: real processes under FreeBSD's names, answered by a sandbox."""

from dataclasses import replace

import pytest

from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.shims import write_shims
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import FACETS, Request


@pytest.fixture
def host(tmp_path):
    """A host whose programs are found in a folder in front of PATH."""
    write_shims(tmp_path / "bin", tmp_path / "box")
    yield FreeBSDHost(LocalRunner(path=[str(tmp_path / "bin")]), "freebsd:")
    Machine(tmp_path / "box").reboot()


def test_datasets_mounts_and_a_jail_are_made_seen_and_unmade(host):
    asked = Request("zroot/reconciler", "/reconciler", FACETS - {"files"})
    assert host.parse(asked, host.observe(asked)).pool_state == "absent"
    host.datasets.create("zroot/reconciler", {"mountpoint": "/reconciler", "reconciler:owner": "me"})
    host.datasets.create("zroot/reconciler/root", {"mountpoint": "legacy"})
    host.files.mkdir("/mnt/root")
    host.mounts.mount("zfs", "zroot/reconciler/root", "/mnt/root")
    host.files.mkdir("/mnt/root/tmp")
    host.jails.create("here", {"path": "/mnt/root", "host.hostname": "here", "persist": "1"})
    seen = host.parse(asked, host.observe(asked))
    assert (seen.pool_state, seen.facts.osrelease.partition("-")[0]) == ("ready", "15.1")
    assert {row.user["owner"] for row in seen.datasets if row.user} == {"me"}
    assert [(row.name, row.path) for row in seen.jails] == [("here", "/mnt/root")]
    assert ("zroot/reconciler/root", "/mnt/root") in {(row.source, row.target) for row in seen.mounts}
    assert host.jails.exec("here", ("sh", "-c", "cat; exit 7"), stdin=b"said").stdout == b"said"
    with pytest.raises(HostError, match="dataset-busy"):
        host.datasets.rename("zroot/reconciler/root", "zroot/reconciler/other")
    host.jails.remove("here")
    host.mounts.unmount("/mnt/root")
    host.datasets.destroy("zroot/reconciler/root")
    seen = host.parse(asked, host.observe(asked))
    assert (seen.jails, [row.name for row in seen.datasets]) == ((), ["zroot/reconciler"])


def test_a_parameter_that_the_kernel_does_not_know_hides_no_jail(host):
    host.jails.create("here", {"path": "/", "persist": "1"})
    asked = Request("zroot/reconciler", "/reconciler", frozenset({"jails"}))
    asked = replace(asked, parameters=("allow.nosuch", "stop.timeout", "allow.chflags", "allow.mount.nosuch"))
    (seen,) = host.parse(asked, host.observe(asked)).jails
    assert seen.name == "here"
    assert seen.parameters["allow.chflags"] == "false"
    assert "allow.nosuch" not in seen.parameters
