"""A process that does not heed a signal is killed at STOP, after as long as jail(8) would wait: not a default test."""

from __future__ import annotations

from pathlib import Path

from tests.build.test_layers import WEB, makejail
from tests.build.test_moments import live
from tests.fleet import Fleet, mirror, problems


def test_what_does_not_heed_a_signal_is_killed(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, mirror(tmp_path / "mirror", "15.1-RELEASE"))
    try:
        fleet.write(WEB)
        makejail(fleet, "CMD trap '' TERM; sleep 300 >/dev/null 2>&1 &", "STOP")
        assert problems(fleet.apply()) == []
        assert live(fleet) == ["-"]
    finally:
        fleet.close()
