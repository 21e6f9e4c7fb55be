"""One of the calls at which a recording may be cut off. All of them, and jails with a package: flow_dying.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.build import recorded
from tests.packages.dying import reading_survives
from tests.packages.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A machine with a recording that was started, and something to record."""
    lab = Lab(tmp_path)
    lab.dataset("jail")
    recorded.mark(lab.site, f"zroot/jail@{recorded.STARTED}", "now")
    with open(lab.path("/jail") + b"/new", "wb"):
        os.makedirs(lab.path("/jail") + b"/folder")
    yield lab
    lab.close()


@pytest.mark.parametrize(("n", "after"), [(15, False)])
def test_a_recording_that_was_cut_off_is_read_again_and_leaves_nothing(lab: Lab, n: int, after: bool) -> None:
    assert reading_survives(lab, n, after=after)
