"""`package record --method unionfs`, typed as in the manual: kept over restarts, lost with memory. Slow."""

from __future__ import annotations

import contextlib
import os

import pytest

from reconciler.cli import unions
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command
from tests.cli.conftest import Desk
from tests.sweep import EVERY

from . import test_union
from .flow_killed import dying, every, succeeds
from .lab import Lab
from .test_recording import lab

__all__ = ["dying", "lab"]
WEB = """kind: Jail
name: web
release: 15.1-RELEASE
makejail: {text: 'CMD mkdir -p /usr/local/etc /srv; echo a > /srv/old'}
"""
WORK = (
    "cd /usr/local/etc; echo conf > site.conf; ln site.conf also; rm /srv/old; mkdir /srv/empty; echo x >> /etc/rc.conf"
)
STEM = "site-1_15.1-RELEASE-p0_amd64.tar.xz"
BUILD = ("package", "build", "web", "--name", "site", "--version", "1")
START = ("start", "web", "--method", "unionfs", "--restart")


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    desk = Desk(tmp_path, capsys, monkeypatch)
    desk.write("web.yaml", WEB)
    assert desk.run("apply").status == 0
    yield desk
    desk.run("sandbox", "shutdown")


def record(desk: Desk, *argv: str, status: int = 0) -> str:
    answer = desk.run("package", "record", *argv)
    assert answer.status == status, answer
    return answer.out + answer.err


def inside(desk: Desk, script: str) -> bool:
    return desk.run("exec", "web", "--", "sh", "-c", script).status == 0


def there(desk: Desk) -> tuple[str, str, str]:
    machine = Machine(desk.folder / "box")
    mounts = machine.run(Command(("mount",))).stdout.decode()
    fstab = machine.run(Command(("cat", "/reconciler/jails/web/fstab"))).stdout.decode()
    machine.state.close()
    return desk.zfs("list", "-Hr", "-t", "all", "-o", "name", "zroot/reconciler"), mounts, fstab


def rests(desk: Desk) -> None:
    planned = desk.run("plan", "--detailed-exitcode")
    assert planned.status == 0, planned


def test_a_union_records_deletions_too_and_leaves_the_root_alone(desk):
    before = there(desk)
    assert "recording-needs-stop" in record(desk, "start", "web", "--method", "unionfs", status=1)
    assert there(desk) == before
    begun = record(desk, *START)
    assert unions.LIMITS in begun and "starting web" in begun
    planned = desk.run("plan", "--detailed-exitcode")
    assert planned.status == 0 and "with unionfs, into /reconciler/recording/web/web-" in planned.out, planned
    assert "recording-exists" in record(desk, *START, status=1)
    listed = desk.run("package", "list")
    assert "No packages.\nweb is recorded from 20" in listed.out and "goes on, with unionfs" in listed.out, listed
    assert inside(desk, WORK)
    assert desk.run("drift", "--deep").status == 0
    assert desk.run("apply").status == 0
    assert inside(desk, "test -f /usr/local/etc/site.conf && test ! -e /srv/old")
    assert "recording-running" in desk.run(*BUILD).err
    assert "recording-needs-stop" in record(desk, "stop", "web", status=1)
    record(desk, "stop", "web", "--restart")
    assert "was stopped already" in record(desk, "stop", "web")
    assert inside(desk, "test -f /srv/old && test ! -e /usr/local/etc/site.conf")
    rests(desk)
    kept = desk.run(*BUILD, "--keep-recording")
    assert kept.status == 0, kept
    first = (desk.folder / f"{STEM}.sha256").read_bytes()
    for suffix in ("", ".sha256"):
        (desk.folder / f"{STEM}{suffix}").unlink()
    assert desk.run(*BUILD).status == 0
    assert (desk.folder / f"{STEM}.sha256").read_bytes() == first
    assert there(desk) == before
    shown = desk.run("package", "show", STEM, "--files").out
    names = [line.split()[4] for line in shown.splitlines() if line.startswith(("-rw", "drw"))]
    assert names == ["etc/rc.conf", "srv/empty", "usr/local/etc/also", "usr/local/etc/site.conf"], shown
    assert "deleted                              srv/old" in shown
    # It is what the root lacks: listed, it is applied without anything in the way; the Makejail comes after it.
    digest = first.split()[0].decode()
    desk.write(
        "web.yaml", f"{WEB}packages: [{{name: site, version: '1', digest: 'sha256:{digest}', source: ../{STEM}}}]\n"
    )
    applied = desk.run("apply")
    assert applied.status == 0, applied
    assert inside(desk, "test -f /usr/local/etc/site.conf")


def test_a_recording_goes_on_over_restarts_by_rc_and_by_apply(desk):
    record(desk, *START)
    assert inside(desk, "echo 1 > /srv/one")
    machine = Machine(desk.folder / "box")
    for verb in ("stop", "start"):
        done = machine.run(Command(("service", "reconciler_jails", verb, "web")))
        assert done.status == 0, done
    machine.state.close()
    assert inside(desk, "test -f /srv/one && echo 2 > /srv/two")
    desk.write("web.yaml", f"{WEB}parameters: {{allow.raw_sockets: true}}\n")
    applied = desk.run("apply")
    assert applied.status == 0, applied
    assert inside(desk, "test -f /srv/one && test -f /srv/two && echo 3 > /srv/three")
    record(desk, "stop", "web", "--restart")
    assert desk.run(*BUILD).status == 0
    shown = desk.run("package", "show", STEM, "--files").out
    assert all(f"srv/{name}" in shown for name in ("one", "two", "three"))


def test_what_would_take_the_root_from_under_a_union_is_refused(desk):
    record(desk, *START)
    desk.write("web.yaml", f"{WEB}volumes: [{{name: www, mountpoint: /usr/local/www}}]\n")
    refused = desk.run("apply")
    assert refused.status == 3 and "recording-in-the-way" in refused.err, refused
    record(desk, "discard", "web", "--restart")
    assert desk.run("apply").status == 0


def test_memory_that_went_with_a_boot_is_said_and_the_jail_starts_without_it(desk):
    before = there(desk)
    record(desk, *START)
    assert inside(desk, "echo 1 > /srv/one")
    booted = desk.run("sandbox", "reboot")
    assert booted.status == 0, booted
    assert inside(desk, "test ! -e /srv/one && echo 2 > /srv/two")
    planned = desk.run("plan", "--detailed-exitcode")
    assert planned.status == 0 and "is lost" in planned.out, planned
    assert "which is gone" in desk.run("package", "list").out
    assert "recording-lost" in record(desk, "stop", "web", "--restart", status=1)
    record(desk, "discard", "web")
    assert inside(desk, "test -f /srv/two")
    assert there(desk)[0::2] == before[0::2]
    rests(desk)


def test_memory_that_went_while_the_jail_did_not_run_does_not_keep_apply_from_starting_it(desk):
    assert desk.run("sandbox", "shutdown").status == 0
    desk.write("web.yaml", f"{WEB}boot: false\n")
    assert desk.run("sandbox", "reboot").status == 0
    assert desk.run("apply").status == 0
    record(desk, *START)
    assert desk.run("sandbox", "reboot").status == 0
    applied = desk.run("apply")
    assert applied.status == 0, applied
    assert inside(desk, "true")
    record(desk, "discard", "web")
    rests(desk)


def test_a_folder_on_another_file_system_outlives_a_boot(desk):
    assert "recording-upper-unfit" in record(desk, *START, "--upper", "/reconciler", status=1)
    assert inside(desk, "true")
    machine = Machine(desk.folder / "box")
    os.makedirs(machine.resolve("/var/recorded"))
    machine.state.close()
    record(desk, *START, "--upper", "/var/recorded")
    assert inside(desk, WORK)
    assert desk.run("sandbox", "shutdown").status == 0
    assert desk.run("sandbox", "reboot").status == 0
    assert inside(desk, "test -f /usr/local/etc/site.conf && test ! -e /srv/old")
    record(desk, "stop", "web", "--restart")
    assert desk.run(*BUILD).status == 0
    assert not os.listdir(Machine(desk.folder / "box").resolve("/var/recorded"))


def test_what_changed_in_the_root_itself_meanwhile_is_in_the_package_too(desk):
    record(desk, *START)
    assert inside(desk, "echo 1 > /srv/over")
    machine = Machine(desk.folder / "box")
    assert machine.run(Command(("jail", "-f", "/reconciler/jails/web/jail.conf", "-r", "web"))).status == 0
    path = machine.resolve("/reconciler/jails/web/fstab")
    path.write_text("".join(line for line in path.read_text().splitlines(True) if " unionfs " not in line))
    assert machine.run(Command(("jail", "-f", "/reconciler/jails/web/jail.conf", "-c", "web"))).status == 0
    machine.state.close()
    assert inside(desk, "test ! -e /srv/over && echo 2 > /srv/beneath")
    record(desk, "stop", "web", "--restart")
    assert desk.run(*BUILD).status == 0
    shown = desk.run("package", "show", STEM, "--files").out
    assert "srv/over" in shown and "srv/beneath" in shown


@pytest.mark.parametrize("seed", range(2, 10))
def test_a_package_of_a_union_gives_the_tree_that_the_union_showed(lab: Lab, seed: int) -> None:
    test_union.test_a_package_of_a_union_gives_the_tree_that_the_union_showed(lab, seed)


def test_dying_while_a_recording_begins_ends_and_is_forgotten(desk, dying):
    before = there(desk)

    def running() -> None:
        # What a kill left down is started by the next apply, as after any other.
        assert desk.run("apply").status == 0
        assert inside(desk, "true")

    def begun() -> None:
        succeeds(desk, "package", "record", *START, unless="recording-exists")
        running()
        record(desk, "discard", "web", "--restart")
        assert there(desk) == before

    every(desk, dying, ("package", "record", *START), lambda: None, begun, step=EVERY)

    def start() -> None:
        record(desk, *START)
        assert inside(desk, "echo 1 > /srv/one")

    def ended() -> None:
        record(desk, "stop", "web", "--restart")
        running()
        with contextlib.suppress(FileNotFoundError):
            (desk.folder / STEM).unlink()
        assert desk.run(*BUILD).status == 0
        assert there(desk) == before

    every(desk, dying, ("package", "record", "stop", "web", "--restart"), start, ended, step=EVERY)

    def forgotten() -> None:
        succeeds(desk, "package", "record", "discard", "web", "--restart", unless="recording-none")
        running()
        assert there(desk) == before

    every(desk, dying, ("package", "record", "discard", "web", "--restart"), start, forgotten, step=EVERY)
