"""Health checks that hang, or say more than anybody reads."""

from __future__ import annotations

import pytest

from tests.fleet import Fleet, problems

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
healthcheck:
  command: [sh, -c, 'COMMAND']
  interval: 50ms
  timeout: 1s
  retries: 2
"""


@pytest.mark.parametrize("hanging", ["sleep 60", "trap : TERM; while :; do :; done"], ids=["sleeps", "holds on"])
def test_a_try_that_hangs_has_failed_and_the_next_one_counts(fleet: Fleet, hanging: str) -> None:
    fleet.write(SPEC.replace("COMMAND", f"[ -e /tmp/tried ] || {{ : > /tmp/tried; {hanging}; }}"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_check_that_always_hangs_is_told_with_its_time(fleet: Fleet) -> None:
    fleet.write(SPEC.replace("COMMAND", "sleep 60"))
    (failed,) = [result for result in fleet.apply().failed if result.outcome == "failed"]
    assert failed.diagnostics[0].code == "health-check-failed"
    assert "was not done after 1 s, 2 times in a row" in failed.diagnostics[0].detail
