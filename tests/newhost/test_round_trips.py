"""How often the host is asked: over a slow line each exchange is felt, by a jail's users while it is down.

An exchange over the shared connection costs two round trips: 0.4 s on a line of 200 ms.
"""

import pytest

from reconciler.model.command import Command, Completed, Runner
from reconciler.wraps import CountRunner
from tests.fleet import Fleet

SPEC = """kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {mirror}
---
kind: Jail
name: web
release: 15.1-RELEASE
network: {{vnet: {{bridge: rc0, address: 10.77.0.2/24, gateway: 10.77.0.1}}}}
limits: {{memoryuse: 512M}}
volumes: [{{name: www, mountpoint: /usr/local/www}}]
makejail: {{text: "CMD echo {word} > /etc/version"}}
"""


class Down(CountRunner):
    """Counts what is asked between a jail's stop and its start."""

    def __init__(self, inner: Runner) -> None:
        super().__init__(inner)
        self.down = 0
        self._from = 0

    def run(self, command: Command) -> Completed:
        if command.argv[:1] == ("jail",) and command.argv[-2:] == ("-c", "web"):
            self.down = self.round_trips - self._from
        done = super().run(command)
        if command.argv[:1] == ("jail",) and command.argv[-2:] == ("-r", "web"):
            self._from = self.round_trips
        return done


@pytest.fixture
def counted(fleet: Fleet) -> Fleet:
    """A host of one jail whose calls are counted from here on."""
    fleet.write(SPEC.format(mirror=fleet.mirror, word="one"))
    assert fleet.apply().failed == ()
    fleet.runner = Down(fleet.runner)
    return fleet


def test_a_plan_without_changes_is_one_exchange(counted):
    assert counted.titles() == []
    assert counted.runner.round_trips == 1


def test_a_jail_that_gets_a_new_root_is_down_for_few_exchanges(counted):
    counted.write(SPEC.format(mirror=counted.mirror, word="two"))
    assert counted.apply().failed == ()
    assert 0 < counted.runner.down <= 16
    assert counted.runner.round_trips <= 90


def test_a_first_jail_is_made_in_few_exchanges(fleet):
    fleet.write(SPEC.format(mirror=fleet.mirror, word="one"))
    fleet.runner = CountRunner(fleet.runner)
    assert fleet.apply().failed == ()
    assert fleet.runner.round_trips <= 180
