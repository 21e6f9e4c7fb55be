"""The Datasets suite on the sandbox."""

import pytest
from datasets import CHECKS, Place

from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner


@pytest.fixture
def place(tmp_path):
    machine = Machine(tmp_path / "host")
    runner = SandboxRunner(machine)
    host = FreeBSDHost(runner)
    host.datasets.create("zroot/contract", {"mountpoint": "/contract"})
    return Place(host, "zroot/contract", "/contract", runner, machine.resolve)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sandbox_keeps_the_contract_of_datasets(check, place):
    check(place)
