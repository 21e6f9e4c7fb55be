"""In-place updates that fail on the way. Slow: see `make test-slow`."""

from __future__ import annotations

import pytest

from tests.fleet import Fleet, problems
from tests.sweep import EVERY

from .flow_patch import broken
from .test_in_place import roots, run, thick, write
from .test_patch import failures, read

__all__ = ["thick"]


@pytest.mark.parametrize("spoil", ["server", "link"])
def test_an_update_that_cannot_be_made_leaves_the_jail_running(thick: Fleet, spoil: str) -> None:
    write(thick, 1 if spoil == "link" else 2)
    if spoil == "link":
        run(thick, "jexec", "web", "/bin/sh", "-c", "rm -rf /usr/local && ln -s /etc /usr/local")
    report = thick.apply()
    assert failures(report)[0] == {"server": "patch-level-unavailable", "link": "in-place-link"}[spoil]
    run(thick, "jexec", "web", "/bin/sh", "-c", "test -f /data/mine")
    assert roots(thick) == {1: 0}


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("number", range(1, 48, EVERY))
def test_a_failure_on_the_way_is_recovered_and_nothing_is_lost(thick: Fleet, number: int, dies: bool) -> None:
    write(thick, 1, state="stopped")
    broken(thick, number, after=True, dies=dies)
    assert problems(thick.apply()) == []
    assert thick.decide().plan.empty
    newest = max(roots(thick))
    assert read(thick, f"zroot/reconciler/jails/web/{newest}", "data/mine") == b"kept\n"
    assert roots(thick)[newest] == 1
