"""The day that ends of life are compared with, and a mirror that begins with nothing that has passed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from reconciler.hosts.sandbox import mirror
from reconciler.model.diagnostic import SpecError
from reconciler.releases.eol import TABLE_DATE
from reconciler.releases.rsa import public_key, recover
from reconciler.releases.tag import parse_tag
from reconciler.today import today


def test_the_day_is_the_clocks_unless_one_is_named():
    before = datetime.now(UTC).date()
    assert before <= today({}) <= datetime.now(UTC).date()
    assert today({"RECONCILER_TODAY": ""}) >= before
    assert today({"RECONCILER_TODAY": "2031-02-03"}) == date(2031, 2, 3)
    with pytest.raises(SpecError) as failed:
        today({"RECONCILER_TODAY": "tomorrow"})
    assert failed.value.diagnostics[0].code == "day-malformed"


def test_no_test_lives_on_the_day_it_is_run():
    assert today() == TABLE_DATE


@pytest.mark.parametrize("day", [date(2026, 11, 22), date(2041, 5, 6)])
def test_ends_of_life_of_a_sandbox_lie_ahead_of_its_making(day, tmp_path):
    mirror.build(tmp_path, day)
    for release, days in mirror.SUPPORTED.items():
        folder = tmp_path / "updates" / release / "amd64"
        line = recover(public_key((folder / "pub.ssl").read_bytes()), (folder / "latest.ssl").read_bytes())
        assert parse_tag(line, release, "amd64").eol_date == day + timedelta(days=days)
