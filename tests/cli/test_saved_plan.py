"""A saved plan is applied as it was shown, or not at all."""

import json
import os
import stat
import subprocess
import sys

from tests.cli.conftest import DB, WEB


def save(desk):
    answer = desk.run("plan", "--out", "p.json")
    assert answer.status == 0, answer


def test_it_is_readable_by_its_owner_alone(desk):
    desk.write("db.yaml", DB)
    save(desk)
    assert stat.S_IMODE((desk.folder / "p.json").stat().st_mode) == 0o600
    assert [path.name for path in desk.folder.iterdir() if path.name.endswith(".new")] == []


def test_it_is_applied_where_nothing_moved_and_refused_once_it_is_done(desk):
    desk.write("db.yaml", DB)
    save(desk)
    assert desk.run("apply", "--plan", "p.json").status == 0
    again = desk.run("apply", "--plan", "p.json")
    assert again.status == 3
    assert "error[plan-stale]" in again.err
    desk.run("sandbox", "shutdown")


def test_it_takes_the_place_of_a_plan_and_of_nothing_else(desk):
    desk.write("db.yaml", DB)
    save(desk)
    save(desk)
    answer = desk.run("plan", "--out", "specs/db.yaml")
    assert answer.status == 1
    assert "error[plan-file-unusable]" in answer.err
    assert (desk.folder / "specs" / "db.yaml").read_text() == DB


def test_it_is_refused_when_the_specs_changed(desk):
    desk.write("db.yaml", DB)
    save(desk)
    desk.write("web.yaml", WEB)
    answer = desk.run("apply", "--plan", "p.json")
    assert answer.status == 3
    assert "specs: were" in answer.err
    assert "reconciler" not in desk.zfs("list", "-H", "-o", "name")


def test_it_is_refused_when_the_host_moved_and_says_what(running):
    running.write("web.yaml", WEB.replace("/usr/local/www}", "/usr/local/www, quota: 1G}"))
    save(running)
    running.zfs("set", "quota=2G", "zroot/reconciler/volumes/web/www")
    answer = running.run("apply", "--plan", "p.json")
    assert answer.status == 3
    assert "volume/web/www: was " in answer.err


def test_another_host_is_refused(desk):
    desk.write("db.yaml", DB)
    save(desk)
    answer = desk.run("apply", "--plan", "p.json", "--host", f"sandbox:{desk.folder}/other")
    assert answer.status == 3
    assert "error[plan-other-host]" in answer.err


def test_a_file_that_is_no_plan_is_named(desk):
    (desk.folder / "p.json").write_text(json.dumps({"version": 1}))
    answer = desk.run("apply", "--plan", "p.json")
    assert answer.status == 1
    assert "p.json" in answer.err
    assert "error[plan-file-unusable]" in answer.err


def test_a_fifo_in_place_of_a_plan_is_not_waited_for(desk):
    os.mkfifo(desk.folder / "p.json")
    answer = desk.run("apply", "--plan", "p.json")
    assert answer.status == 1
    assert "error[plan-file-unusable]" in answer.err


def test_what_was_seen_has_the_same_digest_in_every_process():
    code = """from reconciler.diff import fingerprint
from reconciler.kinds.mount import Mount
print(fingerprint(Mount("web:/run/secrets", "tmpfs", "tmpfs", flags=frozenset({"noexec", "nosuid", "x", "y"}))))"""
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "1234"
    }
    assert len(said) == 1
