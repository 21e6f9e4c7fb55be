"""Every call at which recording, or a jail with a package, may be cut off, before its effect and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet import Fleet, mirror
from tests.packages.dying import jail_survives, reading_survives
from tests.packages.lab import Lab
from tests.packages.test_dying import lab
from tests.sweep import EVERY

__all__ = ["lab"]
CALLS = 200
"""More than any of them makes: the first call that is not reached ends a test."""


@pytest.mark.parametrize("after", [False, True])
def test_a_recording_survives_every_death(lab: Lab, after: bool) -> None:
    reached = 1
    while reading_survives(lab, reached, after=after):
        reached += EVERY
    assert 20 < reached < CALLS


@pytest.mark.parametrize("after", [False, True])
def test_a_jail_with_a_package_survives_every_death(tmp_path: Path, after: bool) -> None:
    url = mirror(tmp_path / "mirror", "15.1-RELEASE")
    for n in range(1, CALLS, EVERY):
        fleet = Fleet(tmp_path / str(n), url)
        reached = jail_survives(fleet, n, after=after)
        fleet.close()
        if not reached:
            assert n > 40
            return
