"""Releases and patch levels are numbers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.diagnostic import FetchError
from reconciler.releases.version import Version, parse_version, read_userland_version

NUMBERS = st.integers(0, 40)
VERSIONS = st.builds(Version, st.integers(1, 40), NUMBERS, st.just("RELEASE"), st.just(0), st.none() | NUMBERS)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("15.9-RELEASE", "15.10-RELEASE"),
        ("9.3-RELEASE", "10.0-RELEASE"),
        ("15.1-RELEASE-p9", "15.1-RELEASE-p10"),
        ("15.1-BETA2", "15.1-RC1"),
        ("15.1-RC3", "15.1-RELEASE"),
        ("15.1-RELEASE-p7", "15.1-STABLE"),
        ("15.1-STABLE-HBSD", "15.2-STABLE-HBSD"),
        ("16.0-CURRENT", "16.0-ALPHA1"),
        ("15.1-RELEASE", "15.1-RELEASE-p0"),
    ],
)
def test_newer_means_newer_by_number(older: str, newer: str) -> None:
    assert parse_version(older) < parse_version(newer)


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_the_numbers(one: Version, other: Version) -> None:
    assert (one.release == other.release) == ((one.major, one.minor) == (other.major, other.minor))
    assert (one < other) + (one == other) + (one > other) == 1
    if (one.major, one.minor) != (other.major, other.minor):
        assert (one < other) == ((one.major, one.minor) < (other.major, other.minor))


@given(VERSIONS)
def test_a_printed_version_reads_back_at_the_same_level(version: Version) -> None:
    again = parse_version(str(version))
    assert (again.release, again.level) == (version.release, version.level)


@pytest.mark.parametrize(
    "text",
    ["", "15.1", "15-RELEASE", "15.01-RELEASE", "015.1-RELEASE", "15.1-RELEASE-p", "15.1-RELEASE-p01", "15.1-RELEASE3",
     "15.1-FOO", "15.1-STABLE-FOO", "15.1-STABLE-HBSD-HBSD",
     "15.1-RELEASE\n", "١٥.1-RELEASE", "15.1-RELEASE-p1/../x", "15.1-release"],
)  # fmt: skip
def test_what_is_no_release_name_is_refused(text: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_version(text)
    assert caught.value.diagnostics[0].code == "release-name-malformed"


@pytest.mark.parametrize(
    ("line", "level"),
    [('"15.1-RELEASE-p1"', 1), ('"15.1-RELEASE"', 0), ('"15.10-RELEASE-p12"', 12), ("14.4-RELEASE-p3", 3)],
)
def test_the_patch_level_is_read_from_the_script(line: str, level: int) -> None:
    script = f"#!/bin/sh -\nset -e\n\nUSERLAND_VERSION={line}\n\n: ${{LOADER_DIR:=$ROOT/boot}}\n"
    assert read_userland_version(script.encode()).patch == level


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b'USERLAND_VERSION="15.1-RELEASE"\nUSERLAND_VERSION="15.1-RELEASE-p9"\n',
        b'USERLAND_VERSION="$(reboot)"\n',
        b'# USERLAND_VERSION="15.1-RELEASE"\n',
        b'USERLAND_VERSION="15.1-RELEASE-p1\n',
    ],
)
def test_a_script_that_states_no_single_version_is_refused(script: bytes) -> None:
    with pytest.raises(FetchError) as caught:
        read_userland_version(script)
    assert caught.value.diagnostics[0].code in ("userland-version-unreadable", "release-name-malformed")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_version_or_a_diagnostic(script: bytes) -> None:
    with suppress(FetchError):
        assert read_userland_version(b"USERLAND_VERSION=" + script).level >= 0
