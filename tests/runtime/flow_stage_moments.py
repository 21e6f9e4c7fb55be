"""MOUNT, UMOUNT, DEVICE and SET of stages: at their moment, from the jail's files alone, and gone after the stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.makejail.program import compile_text
from reconciler.runtime import by_hand
from tests.runtime.jails import jail
from tests.runtime.machine import Place

WEB = jail(network={}, mounts=[{"type": "tmpfs", "device": "tmpfs", "mountpoint": "/own", "options": "rw"}])
LIVE = "/reconciler/live/web"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine with a folder of the host to mount."""
    place = Place(tmp_path / "machine")
    place.ok("mkdir", "-p", "/data/in", "/reconciler/run")
    place.runner.write("/data/in/file", b"of the host\n")
    yield place
    place.power_off()


def made(place: Place, text: str) -> None:
    """The jail web, stopped, with these stages."""
    place.jail(WEB, stages=dict(compile_text(text).stages))


def by(place: Place, stage: str) -> tuple[int, str]:
    """Run a stage by hand: its status, and what it complained of."""
    folder = "/reconciler/jails/web"
    names = place.ok("ls", folder).split()
    place.runner.write("/reconciler/run/x.sh", by_hand.script("web", folder, LIVE, names, stage, []).encode())
    done = place.run("sh", "/reconciler/run/x.sh")
    return done.status, done.stderr.decode()


def test_a_start_stage_mounts_what_the_stop_unmounts(place: Place) -> None:
    made(place, "STAGE start\nMOUNT /data/in /srv//data/\nMOUNT --nopersist tmpfs deep/a tmpfs rw,noexec\n")
    for _ in range(2):
        started = place.start("web")
        assert started.status == 0, started
        assert place.mounted()[-2:] == [f"{LIVE}/srv/data", f"{LIVE}/deep/a"]
        assert place.inside("web", "cat", "/srv/data/file") == "of the host\n"
        stopped = place.stop("web")
        assert (stopped.status, place.mounted()) == (0, []), stopped
        assert place.read("/reconciler/jails/web/mounted") is None


def test_a_create_stage_mounts_before_the_jail_is_there(place: Place) -> None:
    made(place, "ARG from=/data/in\nSTAGE create\nARG from=/data/in\nMOUNT $from srv\n")
    assert place.start("web").status == 0
    assert place.inside("web", "cat", "/srv/file") == "of the host\n"
    assert place.stop("web").status == 0 and place.mounted() == []


def test_umount_takes_back_what_a_stage_mounted_and_nothing_else(place: Place) -> None:
    made(
        place,
        "STAGE custom:up\nMOUNT --nopersist /data/in /srv/data\n"
        "STAGE custom:down\nUMOUNT /srv/data\nSTAGE custom:own\nUMOUNT own\n",
    )
    assert place.start("web").status == 0
    before = place.mounted()
    assert by(place, "custom:up") == (0, "") and by(place, "custom:up") == (0, "")
    assert place.mounted() == [*before, f"{LIVE}/srv/data"]
    assert by(place, "custom:down") == (0, "") and place.mounted() == before
    assert by(place, "custom:down") == (1, "UMOUNT: nothing is mounted on /srv/data\n")
    status, said = by(place, "custom:own")
    assert status == 77 and "part of the jail's document" in said and place.mounted() == before


REFUSED = [
    ("MOUNT --nopersist /data/in ../x", 65, "no place"),
    ("MOUNT --nopersist /data/in /dev", 65, "no place"),
    ("MOUNT --nopersist /data/in own", 73, "something else"),
    ("MOUNT --nopersist data/in srv", 65, "absolute"),
    ("MOUNT --nopersist /nowhere srv", 66, "no such"),
    ("MOUNT --nopersist '/data in' srv", 65, "a blank"),
    ("MOUNT --nopersist /data/in etc/rc", 74, "cannot mount"),
    ("MOUNT --nopersist $APPJAIL_JAILNAME srv '<pseudofs>'", 0, ""),
]


def test_what_cannot_be_mounted_is_said_and_leaves_nothing(place: Place) -> None:
    made(place, "".join(f"STAGE custom:{n}\n{line}\n" for n, (line, _, _) in enumerate(REFUSED)))
    assert place.start("web").status == 0
    before = place.mounted()
    for number, (line, status, said) in enumerate(REFUSED):
        ended, complained = by(place, f"custom:{number}")
        assert (ended, place.mounted()) == (status, before) and said in complained, line
    assert place.stop("web").status == 0 and place.mounted() == []


LINKS = ["ln -s /data/in /srv", "mkdir /srv && ln -s /data /srv/data", "ln -s ../../.. /srv"]


def test_no_link_of_the_jail_leads_a_mount_out_of_it(place: Place) -> None:
    made(place, "STAGE custom:x\nMOUNT --nopersist tmpfs srv/data/in tmpfs\n")
    assert place.start("web").status == 0
    before = place.ok("mount", "-p")
    for link in LINKS:
        place.inside("web", "sh", "-c", f"rm -rf /srv && {link}")
        status, _ = by(place, "custom:x")
        assert status == 74 and place.ok("mount", "-p") == before and not place.runs("KEEP-web")


RACE = """#!/bin/sh
case $* in *mount=*) exec /sbin/mount -t tmpfs tmpfs /data/in ;; *) exec /usr/sbin/jail "$@" ;; esac
"""


def test_what_a_link_led_elsewhere_after_jail_had_looked_is_unmounted_at_once(place: Place) -> None:
    made(place, "STAGE custom:x\nMOUNT --nopersist tmpfs srv tmpfs\n")
    assert place.start("web").status == 0
    before = place.ok("mount", "-p")
    place.runner.write("/reconciler/jails/web/bin/jail", RACE.encode(), 0o755)
    status, said = by(place, "custom:x")
    assert (status, place.ok("mount", "-p")) == (77, before) and "leads elsewhere" in said


def test_a_folder_that_became_a_link_is_unmounted_as_the_table_has_it(place: Place) -> None:
    made(place, "STAGE start\nMOUNT tmpfs a/b tmpfs\nSTAGE custom:x\nUMOUNT a/b\n")
    assert place.start("web").status == 0
    place.ok("mkdir", "-p", "/srv/b")
    place.ok("mount", "-t", "tmpfs", "tmpfs", "/srv/b")
    place.inside("web", "sh", "-c", "mv /a /c && ln -s /srv /a")
    assert by(place, "custom:x") == (0, "")
    assert f"{LIVE}/a/b" not in place.mounted() and "/srv/b" in place.ok("mount", "-p")


def test_a_start_stage_that_fails_after_its_mount_leaves_nothing(place: Place) -> None:
    made(place, "STAGE start\nRAW set -e\nMOUNT /data/in srv\nRAW false\n")
    refused = place.start("web")
    assert refused.status != 0 and place.mounted() == [] and not place.runs("web")


def test_a_create_stage_that_fails_after_its_mount_leaves_nothing(place: Place) -> None:
    made(place, "STAGE create\nRAW set -e\nMOUNT /data/in srv\nRAW false\n")
    assert place.start("web").status != 0 and place.mounted() == []


def test_what_a_killed_start_or_stop_left_is_in_nobodys_way(place: Place) -> None:
    made(place, "STAGE start\nMOUNT /data/in srv\n")
    assert place.start("web").status == 0
    place.ok("jail", "-R", "web")
    assert f"{LIVE}/srv" in place.mounted()
    started = place.start("web")
    assert started.status == 0 and place.mounted()[-1] == f"{LIVE}/srv", started
    assert place.stop("web").status == 0 and place.mounted() == []


def test_a_device_rule_is_applied_to_the_jails_dev(place: Place) -> None:
    made(place, "STAGE start\nDEVICE path 'bpf*' unhide\nSTAGE custom:bad\nDEVICE pathh bpf\n")
    assert place.start("web").status == 0
    assert {"bpf", "bpf0"} <= set(place.ok("ls", f"{LIVE}/dev").split())
    status, said = by(place, "custom:bad")
    assert status != 0 and "unknown argument: pathh" in said
    assert place.stop("web").status == 0
    made_again = compile_text("STAGE start\nCMD true\n")
    place.write(WEB, 1, stages=dict(made_again.stages))
    assert place.start("web").status == 0 and "bpf" not in place.ok("ls", f"{LIVE}/dev").split()


def test_set_changes_the_running_jail_until_it_stops(place: Place) -> None:
    made(place, "STAGE start\nVAR n=7\nSET children.max=$n\nSET allow.raw_sockets\nSTAGE create\nSET children.max=3\n")
    assert place.start("web").status == 0
    assert place.ok("jls", "-j", "web", "children.max", "allow.raw_sockets").split() == ["7", "true"]
    assert place.stop("web").status == 0
