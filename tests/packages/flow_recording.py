"""Recordings of many scrambled trees, applied elsewhere. Slow: see `make test-slow`."""

from __future__ import annotations

import pytest

from . import test_recording
from .lab import Lab
from .test_recording import lab

__all__ = ["lab"]


@pytest.mark.parametrize("seed", range(2, 22))
def test_a_recording_applied_elsewhere_gives_the_tree_that_was_recorded(lab: Lab, seed: int) -> None:
    test_recording.test_a_recording_applied_elsewhere_gives_the_tree_that_was_recorded(lab, seed)
