"""prepare.sh is killed at every single call, before and after its effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.test_scripts import killed_and_made_good


@pytest.mark.parametrize("when", ["BEFORE", "AFTER"])
def test_prepare_killed_at_any_call_is_made_good_by_the_next(tmp_path: Path, when: str) -> None:
    killed_and_made_good(tmp_path, when, 1)
