"""`reconcile status`: three levels told apart, how far behind, until when; and what a monitor is told."""

import json

import pytest

from reconciler.cli.lagging import unwell
from reconciler.cli.overview import Status
from reconciler.hosts.open import open_runner
from reconciler.model.command import Command

SPEC = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\npatch_level: {level}\n"


def only(desk, *argv: str) -> dict:
    return json.loads(desk.run("status", "--json", *argv).out)[0]


def test_the_three_levels_and_the_newest(desk):
    desk.write("web.yaml", SPEC.format(level=0))
    assert desk.run("apply").status == 0
    try:
        before = only(desk)
        assert (before["behind"], before["newest"], before["until"]) == (None, "", "2027-03-31")
        assert desk.run("status").status == 0  # nobody was asked: unknown is shown, and no alarm
        checked = desk.run("status", "--check")
        assert checked.status == 2 and "1 patch level behind: 15.1-RELEASE-p1 is out" in checked.out
        desk.write("web.yaml", SPEC.format(level=1))
        told = only(desk, "--check")
        levels = ("release_declared", "release_recorded", "release_observed", "newest")
        assert [told[key].removeprefix("15.1-RELEASE-p") for key in levels] == ["1", "0", "0", "1"]
        runner = open_runner(desk.env["RECONCILER_HOST"])
        edit = "sed s/15.1-RELEASE/15.1-RELEASE-p1/ /bin/freebsd-version > /v && cat /v > /bin/freebsd-version"
        runner.run(Command(("jexec", "web", "/bin/sh", "-c", edit)))
        by_hand = only(desk, "--check")
        assert (by_hand["release_observed"], by_hand["behind"]) == ("15.1-RELEASE-p1", 0)
        assert any("built from 15.1-RELEASE-p0" in note for note in by_hand["notes"])
    finally:
        desk.run("sandbox", "shutdown")


GOOD = Status("web", "running", "running", "r", "r", "r", 1, 1, "", (), off=False, newest="n", behind=0,
              support="supported", until="2030-01-01")  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({}, False),
        ({"behind": 1}, True),
        ({"behind": None}, True),
        ({"support": "eol"}, True),
        ({"support": "unknown"}, True),
        ({"off": True}, True),
        ({"behind": None, "support": "unknown", "release_recorded": "", "release_observed": ""}, False),
    ],
)
def test_what_a_monitor_is_told(fields, bad):
    from dataclasses import replace

    assert unwell(replace(GOOD, **fields)) is bad
