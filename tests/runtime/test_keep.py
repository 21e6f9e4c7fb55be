"""What `keep` names is in the next root before anything of it runs, whatever happened in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.jails import jail
from tests.runtime.machine import Place

DB = jail(name="db", keep=["/var/lib/my app"])
KEY = "/etc/ssh/ssh_host_key"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine with the jail db, running its first root, and a second root beside it."""
    place = Place(tmp_path / "machine")
    place.jail(DB)
    place.root(DB, 2)
    assert place.start("db").status == 0
    place.inside("db", "sh", "-c", "mkdir -p '/var/lib/my app'; echo data > '/var/lib/my app/-x y'; mkfifo /var/mail/f")
    yield place
    place.power_off()


def test_kept_files_are_in_the_next_root_before_its_rc_runs(place: Place) -> None:
    assert place.stop("db").status == 0
    place.write(DB, 2)
    assert place.start("db").status == 0
    assert place.inside("db", "cat", KEY) == "key of 1\n"
    assert place.inside("db", "cat", "/var/lib/my app/-x y") == "data\n"


def test_the_same_root_is_left_as_it_is(place: Place) -> None:
    assert place.stop("db").status == 0
    assert place.start("db").status == 0
    place.inside("db", "sh", "-c", f"echo other > {KEY}")
    assert place.stop("db").status == 0 and place.start("db").status == 0
    assert place.inside("db", "cat", KEY) == "other\n"


def test_a_root_that_was_never_stopped_is_saved_when_the_next_one_starts(place: Place) -> None:
    place.power_off()
    place.run("jail", "-R", "db")
    place.write(DB, 2)
    started = place.start("db")
    assert started.status == 0, started
    assert place.inside("db", "cat", KEY) == "key of 1\n"
    assert place.inside("db", "cat", "/var/lib/my app/-x y") == "data\n"


def test_a_path_that_is_kept_from_now_on_comes_along(place: Place) -> None:
    place.inside("db", "sh", "-c", "echo late > /root/late")
    assert place.stop("db").status == 0
    place.write(jail(name="db", keep=["/root/late"]), 2)
    assert place.start("db").status == 0
    assert place.inside("db", "cat", "/root/late") == "late\n"


def test_going_back_to_an_older_root_takes_the_newest_files_along(place: Place) -> None:
    assert place.stop("db").status == 0
    place.write(DB, 2)
    assert place.start("db").status == 0
    place.inside("db", "sh", "-c", f"echo newest > {KEY}")
    assert place.stop("db").status == 0
    place.write(DB, 1)
    assert place.start("db").status == 0
    assert place.inside("db", "cat", KEY) == "newest\n"


def test_a_dirty_root_that_is_gone_is_said_and_does_not_keep_the_jail_down(place: Place) -> None:
    place.run("jail", "-R", "db")
    for path in reversed(place.mounted()):
        place.ok("umount", path)
    place.ok("zfs", "destroy", "-r", "zroot/reconciler/jails/db/1")
    place.write(DB, 2)
    started = place.start("db")
    assert started.status == 0 and b"is gone" in started.stderr
    assert place.inside("db", "cat", KEY) == "key of 2\n"


def test_a_state_that_is_not_mounted_starts_nothing(place: Place) -> None:
    assert place.stop("db").status == 0
    place.ok("zfs", "unmount", "zroot/reconciler/state/db")
    refused = place.start("db")
    assert refused.status != 0 and b"is not mounted" in refused.stderr
