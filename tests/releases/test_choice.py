"""What somebody types at the question which releases to fetch, and what Enter means."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cache import Cache
from reconciler.cli.releasing import chosen, preferred
from reconciler.model.diagnostic import SpecError
from reconciler.releases.distribution import Distribution, Release
from reconciler.releases.eol import Support


@pytest.mark.parametrize(
    ("line", "answer"),
    [("\n", (2,)), ("0\n", (0,)), ("3 1\n", (3, 1)), ("1,3,1\n", (1, 3)), ("  2 \n", (2,)), ("0", (0,))],
)
def test_numbers_are_taken_as_they_are_typed(line: str, answer: tuple[int, ...]) -> None:
    assert chosen(line, 2, 4) == answer


@pytest.mark.parametrize("line", ["", "4\n", "-1\n", "x\n", "1 x\n", "15.1-RELEASE\n", "1.0\n"])
def test_anything_else_fetches_nothing(line: str) -> None:
    with pytest.raises(SpecError, match="release-not-named"):
        chosen(line, 2, 4)


@pytest.mark.parametrize(
    ("host", "names", "eol", "wanted"),
    [
        ("15.1-RELEASE-p2", "14.4 15.0 15.1 15.2", "15.0", "15.1"),
        ("15.1-RELEASE-p2", "14.4 15.0 15.2", "15.0", "14.4"),
        ("15.1-RELEASE", "14.4 15.1", "14.4 15.1", "15.1"),
        ("14.3-RELEASE", "15.0 15.1", "15.0", "15.1"),
        ("", "14.4 15.0 15.10", "15.0", "15.10"),
    ],
)
def test_enter_means_the_hosts_own_release_else_the_newest_that_lasts(
    host: str, names: str, eol: str, wanted: str, tmp_path: Path
) -> None:
    whose = Distribution(host=host, cache=Cache(tmp_path))
    listed = [
        Release(f"{n}-RELEASE", whose, support=Support("eol" if n in eol.split() else "supported"))
        for n in names.split()
    ]
    assert listed[preferred(listed, host)].name == f"{wanted}-RELEASE"
