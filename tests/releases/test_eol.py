"""Support is what a signed tag says, else a dated table; nothing is supported because nobody knows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.releases.eol import BRANCHES, TABLE, TABLE_DATE, UNKNOWN, Support, support
from reconciler.releases.tag import SignedTag, Tag
from reconciler.releases.version import parse_version

TODAY = date(2026, 11, 22)
DAYS = st.dates(date(2000, 1, 1), date(2200, 1, 1))
EPOCH = date(1970, 1, 1)


def signed(until: date, seen: date = TODAY) -> SignedTag:
    seconds = (until - EPOCH).days * 86400
    return SignedTag(Tag("amd64", "15.1-RELEASE", 3, "0" * 64, seconds), b"", b"", seen.isoformat())


@pytest.mark.parametrize(
    ("release", "text"),
    [
        ("15.1-RELEASE", "supported until 2027-03-31"),
        ("15.1-RELEASE-p2", "supported until 2027-03-31"),
        ("15.0-RELEASE", "EOL since 2026-09-30"),
        ("9.3-RELEASE", "EOL since 2016-12-31"),
        ("14.9-STABLE", "supported until 2028-11-30"),
        ("14.9-STABLE-HBSD", "unknown"),
        ("13.5-STABLE", "EOL since 2026-04-30"),
        ("15.9-RELEASE", "unknown"),
        ("15.2-BETA1", "unknown"),
        ("16.0-CURRENT", "unknown"),
        ("HardenedBSD-15-STABLE", "unknown"),
        ("", "unknown"),
    ],
)
def test_without_a_tag_the_table_is_asked(release: str, text: str) -> None:
    found = support(release, TODAY)
    assert str(found) == text
    assert (found.source, found.as_of) == (("", None) if text == "unknown" else ("table", TABLE_DATE))


@given(st.text(max_size=20), DAYS)
def test_what_nobody_knows_is_unknown(release: str, today: date) -> None:
    if release not in TABLE:
        assert support(release, today) == UNKNOWN


@given(DAYS, DAYS, st.sampled_from(sorted(TABLE)))
def test_a_tag_goes_before_the_table(until: date, today: date, release: str) -> None:
    found = support(release, today, signed(until))
    assert found == Support("supported" if today <= until else "eol", until, "tag", TODAY)


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_the_last_day_counts(days: int) -> None:
    last = date.fromisoformat(TABLE["15.1-RELEASE"])
    assert support("15.1-RELEASE", last + timedelta(days)).state == ("eol" if days > 0 else "supported")


def test_the_table_is_of_releases_with_dates_and_no_release_outlives_its_branch() -> None:
    for release, until in TABLE.items():
        version = parse_version(release)
        assert version.branch == "RELEASE" and version.patch is None
        assert date.fromisoformat(until) <= date.fromisoformat(BRANCHES[version.major])
