"""A taste of the matrix for every test run; `make test-crash` is the whole of it."""

from __future__ import annotations

from pathlib import Path

from reconciler.hosts.sandbox.mirror import build
from tests.crash.fleets import small
from tests.crash.matrix import chosen
from tests.crash.trial import Bench, Case


def test_a_kill_in_the_middle_of_a_build_is_recovered_by_the_next_run(tmp_path: Path) -> None:
    build(tmp_path / "mirror")
    bench = Bench(tmp_path, f"file:{tmp_path}/mirror/releases", small()[:1])
    result = bench.trial(Case(0, 54, "after"))
    assert result.killed
    assert result.good, result


def test_shares_are_the_whole_and_a_sample_has_both_ends() -> None:
    for count in (1, 7, 100):
        shares = [chosen(count, 1, (at, 7)) for at in range(1, 8)]
        assert sorted(n for share in shares for n in share) == list(range(1, count + 1))
    assert chosen(100, 30, (1, 1)) == [1, 31, 61, 91, 100]
