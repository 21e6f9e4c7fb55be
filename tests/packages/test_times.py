"""When the files of a package are from: two that build it alike have the same bytes, and programs are not misled."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reconciler.build.reading import difference, windows
from reconciler.packages.delta import Delta
from reconciler.packages.times import EARLIEST, Window, settled

from .lab import Lab
from .trees import directory, examples, file, of, symlink

BUILD: Window = (2_000_000_000, 2_000_000_100)
LATER: Window = (2_000_500_000, 2_000_500_300)
OLD = 1_700_000_000


def change(*written: int, data: bytes = b"a") -> Delta:
    """Two files that came with their times, a folder, a link, and files that were written then."""
    made = (file(f"made-{at}", data, mtime=when) for at, when in enumerate(written))
    return of(directory("d"), file("kept", mtime=OLD), file("kept-too", mtime=OLD - 9), symlink("l", "kept"), *made)


def times(found: Delta) -> dict[str, int]:
    return {entry.path: entry.mtime for entry in found.entries if entry.type == "file"}


def test_what_is_written_meanwhile_gets_one_moment_after_all_that_was_not() -> None:
    found = times(settled(change(BUILD[0], BUILD[1]), [BUILD]))
    assert found["kept"] == OLD and found["kept-too"] == OLD - 9
    assert found["made-0"] == found["made-1"] and OLD <= found["made-0"] < OLD + 3600
    assert settled(change(), [BUILD]) == change()


@examples(40)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=2), st.binary(max_size=3), st.integers(0, 10))
def test_when_it_was_built_does_not_matter(offsets: list[int], data: bytes, more: int) -> None:
    one = settled(change(*(BUILD[0] + at for at in offsets), data=data), [BUILD])
    other = settled(change(*(LATER[0] + more + at for at in offsets), data=data), [LATER])
    assert one == other


def test_another_content_has_another_moment() -> None:
    found = [times(settled(change(BUILD[0], data=data), [BUILD]))["made-0"] for data in (b"8080", b"8081")]
    assert found[0] != found[1]


def test_a_time_that_a_build_gave_on_purpose_stays() -> None:
    found = times(settled(change(BUILD[1], 4_000_000_000, 5), [BUILD]))
    assert (found["made-1"], found["made-2"]) == (4_000_000_000, 5)
    assert OLD <= found["made-0"] < OLD + 3600


def test_what_was_copied_in_counts_as_written_whenever_it_was_checked_out() -> None:
    copied = frozenset({file("x", b"site").sha256})
    found = [settled(of(file("kept", mtime=OLD), file("x", b"site", mtime=when)), [BUILD], copied) for when in (9, 99)]
    assert found[0] == found[1] and times(found[0])["x"] >= OLD


def test_the_moment_is_not_before_the_release_nor_before_this_century() -> None:
    only = of(file("x", mtime=BUILD[0]))
    assert EARLIEST <= times(settled(only, [BUILD]))["x"] < EARLIEST + 3600
    assert times(settled(only, [BUILD], floor=OLD))["x"] >= OLD
    assert settled(replace(only, deletions=("gone",)), [BUILD]).deletions == ("gone",)


def test_two_hosts_read_the_same_package_of_the_same_work(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        lab = Lab(tmp_path / name)
        lab.dataset("base")
        lab.snapshot("zroot/base@sealed")
        lab.do("zfs", "clone", "-o", "mountpoint=/layer", "zroot/base@sealed", "zroot/layer")
        lab.do("sh", "-c", "echo new > /layer/etc/new; touch -d 2020-02-02T02:02:02Z /layer/etc/old")
        os.utime(lab.path("/layer/etc/new"), (at := time.time() + len(found), at))
        lab.snapshot("zroot/layer@done")
        steps = [("zroot/base@sealed", "zroot/layer@done")]
        whole = difference(lab.site, steps)
        found.append((whole.change, settled(whole.change, windows(lab.site, steps), (), whole.since)))
        lab.close()
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]
