"""A taste of the matrix for every test run; `make test-crash` is the whole of it."""

from __future__ import annotations

from pathlib import Path

from reconciler.hosts.sandbox.mirror import build
from tests.crash.fleets import small
from tests.crash.trial import Bench, Case


def test_a_kill_in_the_middle_of_a_build_is_recovered_by_the_next_run(tmp_path: Path) -> None:
    build(tmp_path / "mirror")
    bench = Bench(tmp_path, f"file:{tmp_path}/mirror/releases", small()[:1])
    result = bench.trial(Case(0, 54, "after"))
    assert result.killed
    assert result.good, result
