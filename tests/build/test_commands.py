"""`reconcile build`, `run` and what `gc` clears of builds, as command lines."""

from __future__ import annotations

import re

from tests.cli.conftest import Desk

WEB = """kind: Jail
name: web
release: 15.1-RELEASE
makejail: {file: Makejail}
"""
STAGES = """CMD echo built >/root/log
STAGE cmd
ARG word=nobody
CMD echo hello "${word}" from inside
STAGE custom:fail
RAW echo on the host; exit 5
STAGE custom:shim
RAW appjail status -q "$APPJAIL_JAILNAME" && appjail cmd jexec "$APPJAIL_JAILNAME" cat /root/log
STAGE custom:look
CMD echo before
LOGIN --user www
"""


def write(desk: Desk, text: str) -> None:
    desk.write("web.yaml", WEB)
    (desk.folder / "specs" / "Makejail").write_text(text)


def test_build_makes_the_layers_and_not_the_jail(desk: Desk) -> None:
    write(desk, "CMD echo heard in the build\n")
    done = desk.run("build", "web")
    assert done.status == 0, done.err
    assert re.search(r"^  [0-9a-f]{8} \| heard in the build$", done.out, re.MULTILINE)
    plan = desk.run("plan").out
    assert "build segment" not in plan and "root 1" in plan
    assert "All layers of web are here already." in desk.run("build", "web").out


def test_a_failed_build_shows_the_line_and_its_output_once(desk: Desk) -> None:
    write(desk, "CMD true\nCMD echo why it failed; exit 9\n")
    done = desk.run("build", "web")
    assert done.status == 1
    assert "specs/Makejail:2" in done.err and "2 | CMD echo why it failed; exit 9" in done.err
    assert done.err.count("  why it failed") == 1
    jails = desk.run("exec", "web", "--", "true")
    assert jails.status != 0


def test_a_kept_failure_can_be_entered_until_gc_clears_it(desk: Desk) -> None:
    write(desk, "CMD echo evidence >/root/found; false\n")
    done = desk.run("build", "web", "--keep-failed")
    (jail,) = set(re.findall(r"reconcile exec -i (rcb-[0-9a-f]+) --", done.err))
    assert desk.run("exec", jail, "--", "cat", "/root/found").out == "evidence\n"
    typed = b"cd /root\npwd\nexit 3\n"
    shell = desk.run("exec", "-i", jail, "--", "sh", stdin=typed)
    assert (shell.status, shell.out) == (3, "/root\n")
    desk.run("build", "web", "--keep-failed")
    assert desk.run("exec", jail, "--", "cat", "/root/found").out == "evidence\n"
    assert "build jail" in desk.run("gc").out
    assert desk.run("exec", jail, "--", "true").status == 1
    assert "zroot/reconciler/layers/" not in desk.zfs("list", "-H", "-o", "name")


def test_a_build_that_takes_too_long_is_ended_with_everything_in_it(desk: Desk) -> None:
    write(desk, 'RAW echo begun; jexec -l "$RECONCILER_JAIL" sleep 600\n')
    done = desk.run("build", "web", "--timeout", "3")
    assert done.status == 1
    assert "build-timeout" in done.err and "specs/Makejail:1" in done.err and "begun" in done.err
    assert "zroot/reconciler/layers/" not in desk.zfs("list", "-H", "-o", "name")


def test_stages_are_run_by_hand_with_their_arguments(desk: Desk) -> None:
    write(desk, STAGES)
    assert desk.run("run", "web").status == 1
    assert desk.run("apply").status == 0
    assert desk.run("run", "web").out == "hello nobody from inside\n"
    assert desk.run("run", "web", "--", "--word", "wide world").out == "hello wide world from inside\n"
    assert desk.run("run", "web", "--stage", "custom:shim").out == "built\n"
    failed = desk.run("run", "web", "--stage", "custom:fail")
    assert (failed.status, failed.out) == (5, "on the host\n")
    missing = desk.run("run", "web", "--stage", "custom:nope")
    assert missing.status == 1 and "There is: cmd, custom:fail, custom:look, custom:shim." in missing.err
    refused = desk.run("run", "web", "--stage", "custom:look", stdin=b"exit\n")
    assert (refused.status, refused.out) == (1, "") and "terminal-missing" in refused.err


def test_gc_takes_the_saved_environment_of_a_layer_with_it(desk: Desk) -> None:
    write(desk, "VAR kept=yes\nCMD true\n")
    assert desk.run("build", "web").status == 0
    saved = desk.folder / "box"
    assert len(environments(saved)) == 1
    write(desk, "VAR kept=no\nCMD false\n")
    desk.run("gc")
    assert environments(saved) == []


def environments(box) -> list[str]:
    return [path.name for path in box.rglob("env/*") if re.fullmatch("[0-9a-f]{64}", path.name)]
