"""A jail starts and stops from its files alone, on the sandbox host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.hosts.sandbox.facts import set_fact
from tests.runtime.jails import VNET, jail
from tests.runtime.machine import Place

WEB = jail(
    network={"vnet": {**VNET, "nat": False, "expose": []}, "resolver": ["10.77.0.1"]},
    volumes=[{"name": "www", "mountpoint": "/usr/local/www", "mode": "0750"}],
    secrets=[
        {"name": "key", "from": {"file": "/root/the key"}, "path": "/usr/local/etc/key"},
        {"name": "token", "from": {"command": ["/bin/echo", "tok  en"]}, "path": "/run/secrets/deep/token"},
    ],
)
STAGES = {
    "create": "echo create $APPJAIL_JAILNAME\n",
    "start": "echo start $APPJAIL_JAILDIR\n",
    "stop": "[ ! -f /keep-running ]\n",
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine with the jail web, stopped."""
    place = Place(tmp_path / "machine")
    place.runner.write("/root/the key", b"sesame\n")
    place.jail(WEB, stages=STAGES)
    yield place
    place.power_off()


def test_everything_is_there_when_rc_runs_and_nothing_is_left_after_the_stop(place: Place) -> None:
    before = place.ok("ifconfig", "-l")
    started = place.start("web")
    assert started.status == 0, started
    assert started.stdout == b"create web\nweb: created\nstart /reconciler/live/web\n"
    assert place.inside("web", "cat", "/usr/local/etc/key", "/run/secrets/deep/token") == "sesame\ntok  en\n"
    assert place.inside("web", "cat", "/etc/resolv.conf") == "nameserver 10.77.0.1\n"
    assert "inet 10.77.0.2 " in place.inside("web", "ifconfig")
    assert "default" in place.inside("web", "netstat", "-rn", "-f", "inet")
    assert place.read("/reconciler/jails/web/started") == place.read("/reconciler/jails/web/config-id")
    assert "rc of 1 runs" in str(place.read("/reconciler/jails/web/console.log"))
    assert place.stop("web").status == 0
    assert place.mounted() == [] and place.ok("ifconfig", "-l").split() == [*before.split(), "lan"]
    assert place.start("web").status == 0, "and again"


def test_a_jail_whose_start_was_cut_off_is_not_kept_by_its_stop_stage(place: Place) -> None:
    assert place.start("web").status == 0
    place.inside("web", "touch", "/keep-running")
    place.runner.write("/reconciler/live/web/keep-running", b"")
    place.runner.write("/keep-running", b"")
    assert place.stop("web").status == 1, "it had started whole"
    place.ok("rm", "/reconciler/jails/web/started")
    stopped = place.stop("web")
    assert stopped.status == 0 and b"had not started whole" in stopped.stderr
    assert place.mounted() == []


def test_no_secret_is_anywhere_in_the_pool_after_a_run(place: Place) -> None:
    assert place.start("web").status == 0 and place.stop("web").status == 0
    place.ok("mount", "-t", "zfs", "zroot/reconciler/jails/web/1", "/reconciler/live/web")
    held = place.ok("sh", "-c", "grep -rlE 'sesame|tok  en$' /reconciler || :")
    assert held == ""


def test_a_root_that_is_missing_or_not_sealed_starts_nothing(place: Place) -> None:
    place.root(WEB, 2, sealed=False)
    for number, words in ((2, "never finished"), (3, "does not exist")):
        place.write(WEB, number, stages=STAGES)
        refused = place.start("web")
        assert refused.status != 0 and words in refused.stderr.decode()
        assert place.mounted() == [] and not place.runs("web")


def test_an_empty_devfs_ruleset_starts_nothing(place: Place) -> None:
    place.write(WEB, 1, devfs_ruleset=77)
    refused = place.start("web")
    assert refused.status != 0 and "every device" in refused.stderr.decode()


def test_own_devfs_rules_are_loaded_anew_at_each_start(place: Place) -> None:
    spec = WEB.model_copy(update={"devfs": ("path 'bpf*' unhide",)})
    place.write(spec, 1, devfs_ruleset=40001)
    for _ in range(2):
        assert place.start("web").status == 0
        assert place.ok("devfs", "rule", "-s", "40001", "show").splitlines()[-1] == "600 path bpf* unhide"
        assert place.stop("web").status == 0


def test_what_a_killed_start_left_does_not_hinder_the_next(place: Place) -> None:
    conf = "/reconciler/jails/web"
    place.ok("sh", f"{conf}/prepare.sh")
    place.ok("mount", "-t", "zfs", "zroot/reconciler/jails/web/1", "/reconciler/live/web")
    place.ok("mount", "-t", "tmpfs", "tmpfs", "/reconciler/live/web/run/secrets")
    assert place.start("web").status == 0
    assert place.runs("web") and len(place.mounted()) == 4


def test_a_failing_stop_stage_keeps_the_jail_running(place: Place) -> None:
    assert place.start("web").status == 0
    place.ok("touch", "/keep-running")
    refused = place.stop("web")
    assert refused.status != 0 and "the stage stop failed" in refused.stderr.decode()
    assert place.runs("web")
    place.ok("rm", "/keep-running")
    assert place.stop("web").status == 0


def test_a_secret_that_cannot_be_had_stops_the_start_and_is_not_shown(place: Place) -> None:
    spec = WEB.model_copy(deep=True)
    failing = {"name": "x", "from": {"command": ["/bin/sh", "-c", "echo half; exit 3"]}, "path": "/run/secrets/x"}
    spec = jail(**{**spec.model_dump(by_alias=True), "secrets": [failing]})
    place.write(spec, 1)
    refused = place.start("web")
    assert refused.status != 0 and b"failed with status 3" in refused.stderr
    assert b"half" not in refused.stderr + refused.stdout
    assert place.mounted() == [] and not place.runs("web")


def racct(place: Place, value: int) -> None:
    """What the loader tunable says."""
    with place.runner.machine.state.transaction():
        set_fact(place.runner.machine, "kern.racct.enable", value)


def test_limits_come_with_the_start_and_go_with_the_stop(place: Place) -> None:
    place.write(WEB.model_copy(update={"limits": {"maxproc": 100}}), 1)
    place.ok("rctl", "-a", "jail:web:maxproc:deny=7")
    assert place.start("web").status == 0
    assert place.ok("rctl").splitlines() == ["jail:web:maxproc:deny=100"]
    assert place.stop("web").status == 0 and place.ok("rctl") == ""


def test_limits_without_racct_say_how_to_turn_it_on(place: Place) -> None:
    place.write(WEB.model_copy(update={"limits": {"maxproc": 100}}), 1)
    racct(place, 0)
    refused = place.start("web")
    assert refused.status != 0 and b"kern.racct.enable=1" in refused.stderr
    assert place.mounted() == [] and not place.runs("web")


def test_pf_rules_come_with_the_start_and_go_with_the_stop(place: Place) -> None:
    place.write(jail(network={"vnet": VNET}), 1)
    assert place.start("web").status == 0
    shown = place.ok("pfctl", "-a", "reconciler/web", "-s", "nat")
    assert "nat on em0 inet from 10.77.0.2" in shown and "rdr" in shown
    assert place.stop("web").status == 0
    assert place.ok("pfctl", "-a", "reconciler/web", "-s", "nat") == ""


def test_pf_that_is_not_enabled_is_said(place: Place) -> None:
    place.write(jail(network={"vnet": VNET}), 1)
    place.run("pfctl", "-d")
    started = place.start("web")
    assert started.status == 0 and b"pf is not enabled" in started.stderr


def test_an_owner_with_another_number_than_its_files_have_starts_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path / "machine")
    spec = jail(volumes=[{"name": "data", "mountpoint": "/data", "owner": "app"}])
    place.jail(spec)
    place.root(spec, 2)
    dataset = "zroot/reconciler/volumes/web/data"
    try:
        for root, number in ((1, 80), (2, 81)):
            place.ok("mount", "-t", "zfs", f"zroot/reconciler/jails/web/{root}", "/reconciler/live/web")
            line = f"app:*:{number}:{number}::/:/bin/sh\n".encode()
            place.runner.write("/reconciler/live/web/etc/passwd", b"root:*:0:0::/root:/bin/sh\n" + line, 0o644)
            place.ok("umount", "/reconciler/live/web")
        for _ in range(2):
            started = place.start("web")
            assert started.status == 0, started
            assert place.ok("zfs", "get", "-H", "-o", "value", "reconciler:volume_owner", dataset) == "app:80\n"
            assert place.stop("web").status == 0
        place.write(spec, 2)
        refused = place.start("web")
        assert refused.status != 0 and b"app with the number 80; in this root app has the number 81" in refused.stderr
        assert place.mounted() == [] and not place.runs("web")
        place.ok("zfs", "inherit", "reconciler:volume_owner", dataset)
        assert place.start("web").status == 0
    finally:
        place.power_off()
