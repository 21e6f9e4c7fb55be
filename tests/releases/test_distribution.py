"""The interface for people who script, on a mirror and an update server of the tests' own."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reconciler.cache import Cache
from reconciler.download import OFFLINE
from reconciler.hosts.sandbox.signing import make_key, tag_files
from reconciler.model.diagnostic import FetchError
from reconciler.releases.distribution import Distribution
from reconciler.releases.tag import Updates

from .mirror import Fault, Mirror, base_set, manifest_of, release_files, serving

KEY = make_key("a")
NAMES = ("13.5-RELEASE", "14.4-RELEASE", "15.0-RELEASE", "15.1-RELEASE", "15.10-RELEASE", "16.0-RC1")
INDEX = "".join(f'<a href="{name}/">{name}</a>\n' for name in reversed(NAMES)).encode()
TODAY = date(2026, 11, 22)
ENDS = {"14.4-RELEASE": 1798675200, "15.1-RELEASE": 1806451200, "15.10-RELEASE": 1900000000}


@functools.cache
def content() -> dict[str, bytes]:
    files = {"/amd64/amd64/": INDEX, **release_files({"base.txz": base_set("15.1-RELEASE")})}
    for release, end in ENDS.items():
        tags = tag_files(KEY, release, 4, "0" * 64, end)
        files.update({f"/updates/{path}": data for path, data in tags.items()})
    return files


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving(content()) as running:
        yield running


def distribution(mirror: Mirror, folder: Path, **more: Any) -> Distribution:
    given = {"host": "15.1-RELEASE-p2", "mirror": mirror.url, "today": TODAY, "cache": Cache(folder)} | more
    return Distribution(updates=Updates(f"{mirror.url}/updates", (KEY.key_print,)), **given)


def test_releases_come_in_the_order_of_their_numbers_with_their_support(mirror: Mirror, tmp_path: Path) -> None:
    found = distribution(mirror, tmp_path).releases
    assert [(r.name, r.eol, r.newer_than_host, r.newest_level) for r in found] == [
        ("13.5-RELEASE", True, False, None),
        ("14.4-RELEASE", False, False, 4),
        ("15.0-RELEASE", True, False, None),
        ("15.1-RELEASE", False, False, 4),
        ("15.10-RELEASE", False, True, 4),
        ("16.0-RC1", None, True, None),
    ]
    assert str(found[2].support) == "EOL since 2026-09-30"


def test_what_has_ended_is_not_asked_for(mirror: Mirror, tmp_path: Path) -> None:
    _ = distribution(mirror, tmp_path).releases
    assert not any("13.5" in path or "15.0" in path for path, _ in mirror.asked)


@pytest.mark.parametrize("fault", [Fault(status=404), Fault(status=403), Fault(flip=9), Fault(cut=5, no_length=True)])
def test_a_tag_that_cannot_be_had_leaves_the_dated_table_and_what_that_lacks_is_unknown(
    mirror: Mirror, tmp_path: Path, fault: Fault
) -> None:
    for release in ENDS:
        mirror.faults[f"/updates/{release}/amd64/latest.ssl"] = [fault] * 5
    whole = distribution(mirror, tmp_path)
    found = {release.name: release for release in whole.releases}
    assert (found["15.1-RELEASE"].support.source, found["15.1-RELEASE"].newest_level) == ("table", None)
    assert found["15.10-RELEASE"].eol is None
    assert {p.severity for p in whole.problems} == {"warning"} and len(whole.problems) == 4


def test_a_tag_once_seen_is_believed_when_the_server_is_away(mirror: Mirror, tmp_path: Path) -> None:
    _ = distribution(mirror, tmp_path).releases
    mirror.files = {"/amd64/amd64/": INDEX}
    later = distribution(mirror, tmp_path, today=date(2027, 4, 1)).release("15.1-RELEASE")
    assert (later.newest_level, later.eol, later.support.source) == (4, True, "tag")
    assert later.support.as_of == TODAY


def test_offline_nothing_is_asked_and_nothing_is_listed(mirror: Mirror, tmp_path: Path) -> None:
    away = distribution(mirror, tmp_path, patience=OFFLINE)
    with pytest.raises(FetchError, match="download-denied"):
        _ = away.releases
    assert str(away.release("15.1-RELEASE").support) == "supported until 2027-03-31"
    assert away.release("15.9-RELEASE").eol is None
    assert mirror.asked == []


@pytest.mark.parametrize(
    ("host", "newer"),
    [("15.0-RELEASE", True), ("15.1-RELEASE", False), ("15.1-RC2", True), ("15.1-STABLE", False),
     ("15.10-RELEASE", False), ("9.3-RELEASE", True), ("16.0-CURRENT", False), ("", None), ("15.1-STABLE-HBSD", False)],
)  # fmt: skip
def test_newer_than_the_host_is_a_matter_of_numbers(
    mirror: Mirror, tmp_path: Path, host: str, newer: bool | None
) -> None:
    whole = distribution(mirror, tmp_path, host=host, patience=OFFLINE)
    assert whole.release("15.1-RELEASE-p9").newer_than_host is newer


def test_a_release_is_fetched_into_the_cache(mirror: Mirror, tmp_path: Path) -> None:
    seen: list[int] = []
    release = distribution(mirror, tmp_path).release("15.1-RELEASE")
    fetched = release.fetch(progress=lambda done, _total: seen.append(done))
    assert fetched.level == 0 and fetched.sets[0].path.parent == tmp_path
    assert seen[-1] == fetched.sets[0].size


def test_hardenedbsd_is_listed_and_never_judged(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files = {"/": b'<a href="15-stable/">x</a>'}
    (found,) = distribution(mirror, tmp_path, name="HardenedBSD").releases
    assert (found.name, found.eol, found.newer_than_host, found.newest_level) == ("15-STABLE", None, None, None)


def test_a_build_of_hardenedbsd_is_fetched_by_the_name_that_it_says_of_itself(mirror: Mirror, tmp_path: Path) -> None:
    built, place = {"base.txz": base_set("15.1-STABLE-HBSD")}, "/15-stable/amd64/amd64/installer/LATEST"
    mirror.files = {f"{place}/MANIFEST": manifest_of(built), f"{place}/base.txz": built["base.txz"]}
    hardened = distribution(mirror, tmp_path, name="HardenedBSD")
    assert hardened.release("15.1-STABLE-HBSD").fetch().level == 0
    with pytest.raises(FetchError, match="release-name-malformed"):
        hardened.release("15-STABLE").fetch()
