"""One run at a time: who comes second is told who is first, and a dead holder holds nothing."""

from __future__ import annotations

import os
import signal

import pytest

from reconciler.cli.lock import locked
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.model.diagnostic import Refused
from tests.fleet import Fleet

POOL = "zroot/reconciler"


def held_elsewhere(fleet: Fleet) -> int:
    """A process that holds the lock until it is killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(FreeBSDHost(fleet.runner, "sandbox:x"), POOL, "apply"):
            os.write(write, b"held")
            signal.pause()
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert file.read(4) == b"held"
    return child


def test_the_second_run_names_the_first_and_the_lock_goes_with_a_killed_holder(fleet: Fleet) -> None:
    child = held_elsewhere(fleet)
    host = FreeBSDHost(fleet.runner, "sandbox:x")
    with pytest.raises(Refused) as refused, locked(host, POOL, "apply"):
        raise AssertionError("the lock was given twice")
    assert refused.value.diagnostics[0].code == "locked"
    assert f"pid {child}" in refused.value.diagnostics[0].detail
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(host, POOL, "apply"):
        pass
