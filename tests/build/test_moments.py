"""What instructions do at their moment in builds, and what plans make of a jail whose stages mounted something."""

from __future__ import annotations

import pytest

from tests.build.test_layers import POOL, WEB, build_jails, build_titles, failure, inside, layers, makejail, shell
from tests.fleet import Fleet, problems

LIVE = "/reconciler/live/web"
HOST = "kind: Host\nname: here\nmatch: {hostname: '*'}\npolicy: {host_code: deny}\n---"


def live(fleet: Fleet) -> list[str]:
    """Whether each layer is live, in the order they were built."""
    made = [name for name in layers(fleet) if "@" in name]
    return shell(fleet, "zfs", "get", "-H", "-o", "value", "reconciler:live", *made).split()


def test_a_mount_for_the_build_is_there_until_it_is_undone_and_never_afterwards(fleet: Fleet) -> None:
    fleet.write(WEB)
    shell(fleet, "mkdir", "-p", "/data/in")
    fleet.runner.write("/data/in/file", b"of the host\n")
    mounted = "MOUNT --nopersist /data/in /cache nullfs ro"
    makejail(fleet, mounted, "CMD cp /cache/file /root/file", "CMD cp /cache/file /root/log", "UMOUNT cache")
    assert build_titles(fleet) == [
        "build segment 1 of 3: MOUNT CMD",
        "build segment 2 of 3: CMD",
        "build segment 3 of 3: UMOUNT",
    ]
    notes = [note.text for note in fleet.decide().plan.notes]
    assert any("MOUNT" in text and "host" in text for text in notes), notes
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/file") == inside(fleet, "/root/log") == "of the host\n"
    assert live(fleet) == ["on", "on", "-"] and shell(fleet, "jexec", "web", "ls", "/cache") == ""
    assert f"{POOL}/layers" not in shell(fleet, "mount") and build_jails(fleet) == [] and fleet.titles() == []


def test_a_mount_of_a_build_that_fails_is_gone_with_it(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "MOUNT --nopersist tmpfs /cache tmpfs", "CMD ln -s /etc /cache/out", "CMD false")
    assert "CMD" in failure(fleet.apply())
    assert "/cache" not in shell(fleet, "mount") and build_jails(fleet) == []
    makejail(fleet, "CMD ln -s /etc /out", "MOUNT --nopersist tmpfs /out tmpfs", "CMD true")
    assert "MOUNT" in failure(fleet.apply()) and "tmpfs" not in shell(fleet, "mount")


def test_restart_ends_what_runs_and_runs_rc(fleet: Fleet) -> None:
    fleet.write(WEB)
    started = "sleep 300 >/dev/null 2>&1 & echo"
    makejail(
        fleet,
        f"CMD {started} $! >/root/before",
        f"CMD echo '{started} $! >>/root/after' >/etc/rc; echo 'echo down >>/root/after' >/etc/rc.shutdown",
        "RESTART",
        "CMD ! kill -0 $(cat /root/before) && kill -0 $(sed -n 2p /root/after)",
    )
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/after").splitlines()[0] == "down"
    assert live(fleet) == ["on", "on", "on", "on"]


def test_stop_ends_what_runs_so_that_its_layer_is_not_live_and_makes_none_of_its_own(fleet: Fleet) -> None:
    fleet.write(WEB)
    shutdown = "CMD echo 'echo down >>/root/log' >/etc/rc.shutdown; echo 'echo up >>/root/log' >/etc/rc"
    makejail(fleet, shutdown, "CMD sleep 300 >/dev/null 2>&1 &", "STOP", "STAGE start", "CMD true")
    assert build_titles(fleet) == ["build segment 1 of 2: CMD", "build segment 2 of 2: CMD STOP"]
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/log") == "down\nup\n" and live(fleet) == ["-", "-"]
    makejail(fleet, shutdown, "CMD sleep 300 >/dev/null 2>&1 &", "STOP", "START", "STOP", "CMD true")
    assert [title.split(" (")[0] for title in build_titles(fleet)] == [
        "build segment 3 of 4: START STOP",
        "build segment 4 of 4: CMD",
    ]


def test_what_a_stage_mounted_is_no_drift_and_gone_after_a_replacement_and_a_stop(fleet: Fleet) -> None:
    stages = ("STAGE start", "MOUNT tmpfs a/b tmpfs", "STAGE stop", "MOUNT --nopersist tmpfs c tmpfs")
    fleet.write(WEB)
    makejail(fleet, "CMD true", *stages)
    assert problems(fleet.apply()) == []
    assert f"{LIVE}/a/b" in shell(fleet, "mount") and fleet.titles() == []
    assert fleet.decide().plan.notes == ()
    makejail(fleet, "CMD true", "CMD true", *stages)
    assert problems(fleet.apply()) == []
    assert shell(fleet, "mount").count(f"{LIVE}/a/b") == 1 and fleet.titles() == []
    fleet.write(f"{WEB}state: stopped\n")
    assert problems(fleet.apply()) == []
    assert LIVE not in shell(fleet, "mount") and fleet.titles() == []


@pytest.mark.parametrize("line", ["MOUNT /a b", "DEVICE path 'bpf*' unhide", "UMOUNT b"])
def test_what_a_stage_takes_of_the_host_needs_its_policy(fleet: Fleet, line: str) -> None:
    fleet.write(HOST + WEB)
    makejail(fleet, "CMD true", "STAGE start", line)
    (denied,) = (note.text for note in fleet.decide().plan.notes if note.code == "host-code-denied")
    assert "web.makejail:3" in denied
    makejail(fleet, "CMD true", "STAGE start", "SET allow.mount")
    assert "host-code-denied" not in [note.code for note in fleet.decide().plan.notes]


def test_the_helper_of_a_mount_that_was_cut_off_does_not_keep_a_build_jail(fleet: Fleet) -> None:
    fleet.write(WEB)
    left = 'jail -c name="KEEP-$RECONCILER_JAIL" path="$APPJAIL_JAILDIR" persist; false'
    makejail(fleet, f"RAW {left}")
    assert "RAW" in failure(fleet.apply())
    assert shell(fleet, "jls", "name") == "" and "/build/" not in shell(fleet, "mount")
