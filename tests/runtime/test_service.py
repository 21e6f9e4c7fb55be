"""rc.d/reconciler_jails: order, markers, refusals, under the sandbox's rc.subr."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.runtime import fstab
from tests.runtime.jails import jail
from tests.runtime.machine import Place

WEB = jail(name="web", depends_on=["db"])
DB = jail(name="db")
OFF = jail(name="off", boot=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine with three jails, none running."""
    place = Place(tmp_path / "machine")
    for spec in (WEB, DB, OFF):
        place.jail(spec)
    yield place
    place.power_off()


def running(place: Place) -> set[str]:
    """The names of running jails."""
    return set(place.ok("jls", "name").split())


def test_boot_starts_dependencies_first_and_shutdown_stops_them_last(place: Place) -> None:
    started = place.service("faststart")
    assert started.status == 0, started
    assert b"db web." in started.stdout and running(place) == {"db", "web"}
    assert place.service("status").status == 0
    stopped = place.service("faststop")
    assert stopped.status == 0 and b"web db." in stopped.stdout
    assert running(place) == set() and place.mounted() == []
    assert place.read("/reconciler/jails/web/stopped-by-operator") is None
    assert place.service("status").status == 1


def test_a_lower_priority_boots_first_but_never_before_what_it_depends_on(place: Place) -> None:
    place.jail(jail(name="zeal"))
    place.jail(jail(name="last", priority=10))
    place.jail(jail(name="early", priority=2, depends_on=["last"]))
    started = place.service("faststart")
    assert started.status == 0 and b"db zeal last" in started.stdout, started
    assert started.stdout.index(b"last") < started.stdout.index(b"early")


def test_a_jail_is_started_over_the_folder_that_records_it_and_without_one_that_is_gone(place: Place) -> None:
    path = "/reconciler/jails/web/fstab"
    plain = place.read(path) or ""
    place.ok("mkdir", "-p", "/var/up")
    place.runner.write(path, fstab.united(plain, "/var/up").encode())
    assert place.service("start", "web").status == 0
    place.inside("web", "sh", "-c", "echo x > /root/above")
    assert place.service("stop", "web").status == 0 and place.mounted() == []
    assert "/var/up/root/above" in place.ok("find", "/var/up", "-type", "f", "-print0")
    # On ZFS, as where a file system of memory was mounted before the boot.
    place.ok("mkdir", "-p", "/reconciler/recording/web")
    place.runner.write(path, fstab.united(plain, "/reconciler/recording/web").encode())
    started = place.service("start", "web")
    assert started.status == 0 and b"/reconciler/recording/web is gone" in started.stderr, started
    assert place.read(path) == plain
    assert place.run("jexec", "web", "test", "-e", "/root/above").status == 1


def test_a_jail_that_fails_does_not_keep_the_others_down(place: Place) -> None:
    place.ok("zfs", "destroy", "zroot/reconciler/jails/db/1@sealed")
    started = place.service("faststart")
    assert started.status == 1 and running(place) == {"web"}
    assert b"db, on which web depends, does not run" in started.stderr


def test_a_stop_by_hand_is_remembered_until_a_start_by_hand(place: Place) -> None:
    assert place.service("start").status == 0
    assert place.service("stop", "web").status == 0
    assert running(place) == {"db"} and place.read("/reconciler/jails/web/stopped-by-operator")
    assert place.service("faststart").status == 0 and running(place) == {"db"}
    assert place.service("start", "web").status == 0 and running(place) == {"db", "web"}
    assert place.read("/reconciler/jails/web/stopped-by-operator") is None
    assert place.service("restart", "web").status == 0 and running(place) == {"db", "web"}
    assert place.read("/reconciler/jails/web/stopped-by-operator") is None


def test_a_jail_of_which_somebody_unmounted_a_part_is_restarted_all_the_same(place: Place) -> None:
    # usr.sbin/jail/command.c, check_path: "not a mount point" ends the removal before exec.release.
    assert place.service("start").status == 0
    place.ok("umount", "/reconciler/live/web/dev")
    restarted = place.service("restart", "web")
    assert restarted.status == 0, restarted
    assert running(place) == {"db", "web"} and "/reconciler/live/web/dev" in place.mounted()


def test_a_suspended_jail_is_not_started_at_boot(place: Place) -> None:
    place.runner.write("/reconciler/jails/db/suspended", b"")
    assert b"db is suspended" in place.service("faststart").stderr
    assert running(place) == {"web"}


def test_an_unknown_name_does_nothing_at_all(place: Place) -> None:
    for verb in ("start", "stop", "restart", "status"):
        refused = place.service(verb, "db", "nosuch")
        assert refused.status == 1 and b"no jail nosuch" in refused.stderr
    assert running(place) == set()


def test_a_jail_of_the_operators_with_the_same_name_is_left_alone(place: Place) -> None:
    place.ok("mkdir", "-p", "/srv/web")
    place.ok("jail", "-c", "name=web", "path=/srv/web", "persist")
    assert place.service("faststop").status == 0 and running(place) == {"web"}


def test_a_pool_that_is_not_mounted_is_never_a_host_without_jails(place: Place) -> None:
    for name in (
        "jails/web",
        "jails/db",
        "jails/off",
        "jails",
        "state/web",
        "state/db",
        "state/off",
        "state",
        "volumes",
    ):
        place.ok("zfs", "unmount", f"zroot/reconciler/{name}")
    place.ok("zfs", "unmount", "zroot/reconciler")
    for verb in ("faststart", "status", "faststop"):
        refused = place.service(verb)
        assert refused.status == 1 and b"nothing is done" in refused.stderr


def test_a_jail_whose_own_dataset_is_not_mounted_is_named(place: Place) -> None:
    place.ok("zfs", "unmount", "zroot/reconciler/jails/db")
    started = place.service("faststart")
    assert started.status == 1 and b"jails/db has no jail.conf" in started.stderr
    assert running(place) == {"web"}


def test_a_folder_that_a_dataset_left_behind_is_no_jail(place: Place) -> None:
    place.ok("mkdir", "/reconciler/jails/former")
    started = place.service("faststart")
    assert started.status == 0 and not started.stderr
    assert running(place) == {"db", "web"}


def test_jails_that_depend_on_each_other_start_all_the_same(place: Place) -> None:
    place.write(jail(name="db", depends_on=["web"]), 1)
    started = place.service("faststart")
    assert started.status == 0 and b"depend on each other" in started.stderr
    assert running(place) == {"db", "web"}
