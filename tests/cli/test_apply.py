"""`reconcile apply`: its words, its exit statuses, and how it stops."""

import signal

import pytest

from tests.cli.conftest import DB, WEB

NEVER_HEALTHY = DB + "healthcheck: {command: [/usr/bin/false], retries: 1, interval: 1s, start_period: 0s}\n"


def test_it_ends_by_saying_that_nothing_is_left(running):
    answer = running.run("apply")
    assert answer.status == 0
    assert answer.out.endswith("No changes. 2 jails are as their specs say.\n\n")


def test_each_step_is_one_line_with_its_time(desk):
    desk.write("db.yaml", DB)
    answer = desk.run("apply", "--jobs", "1")
    assert answer.status == 0
    assert "db: start jail ... done (" in answer.out
    assert "\n19 steps" not in answer.out
    assert "steps done.\nNo changes. 1 jail is as its spec says.\n" in answer.out
    desk.run("sandbox", "shutdown")


def test_a_renamed_jail_runs_under_its_new_name_after_one_apply(desk):
    desk.write("db.yaml", DB)
    assert desk.run("apply").status == 0
    desk.write("db.yaml", DB.replace("name: db", "name: data\nrenamed_from: db"))
    planned = desk.run("plan")
    assert "  ~ rename jails/db to data\n" in planned.out
    assert "3 to change, 1 to remove" in planned.out
    answer = desk.run("apply")
    assert answer.status == 0
    assert "What was renamed goes on under its new name." in answer.out
    assert answer.out.endswith("No changes. 1 jail is as its spec says.\n")
    assert desk.run("exec", "data", "--", "true").status == 0
    desk.run("sandbox", "shutdown")


def test_a_mirror_that_is_not_there_fails_and_says_what_is_left(desk):
    desk.write("db.yaml", DB)
    answer = desk.run("apply", "--mirror", "http://127.0.0.1:9/")
    assert answer.status == 1
    assert "fetch release 15.1-RELEASE-p0 ... FAILED" in answer.out
    assert "db: start jail ... blocked" in answer.out
    assert "Left to do:" in answer.out
    assert "http://127.0.0.1:9/" in answer.err


def test_one_jail_that_fails_is_status_4_and_leaves_the_other_running(desk):
    desk.write("web.yaml", WEB)
    desk.write("db.yaml", NEVER_HEALTHY)
    answer = desk.run("apply")
    assert answer.status == 4
    assert "error[health-check-failed]" in answer.err
    assert desk.run("exec", "web", "--", "true").status == 0
    desk.run("sandbox", "shutdown")


def test_a_guarded_plan_is_status_3_and_changes_nothing(running):
    (running.folder / "specs" / "web.yaml").unlink()
    (running.folder / "specs" / "db.yaml").write_text(DB.replace("name: db", "name: new"))
    before = running.zfs("list", "-H", "-o", "name")
    answer = running.run("apply")
    assert answer.status == 3
    assert "error[prune-all]" in answer.err
    assert "Refused: nothing was changed." in answer.err
    assert running.zfs("list", "-H", "-o", "name") == before


def test_a_held_lock_is_status_3_and_names_its_holder(desk):
    from reconciler.cli.lock import locked
    from reconciler.hosts.open import open_host

    desk.write("db.yaml", DB)
    with locked(open_host(desk.env["RECONCILER_HOST"]), "zroot/reconciler", "destroy old"):
        answer = desk.run("apply")
    assert answer.status == 3
    assert "reconcile destroy old, pid " in answer.err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_what_began_end_and_the_next_run_converges(desk, number, status):
    desk.write("web.yaml", WEB)
    desk.write("db.yaml", DB)
    process = desk.start("apply", "--jobs", "1")
    for line in process.stdout:
        if "create dataset jails ... done" in line:
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "not begun" in out
    assert "goes on from here" in out
    assert desk.run("apply").status == 0
    assert desk.run("plan", "--detailed-exitcode").status == 0
    desk.run("sandbox", "shutdown")


@pytest.mark.parametrize("option", ["--only", "--retry", "--allow-data-loss"])
def test_a_name_that_no_jail_has_is_refused_before_anything_is_done(desk, option):
    desk.write("web.yaml", WEB)
    answer = desk.run("apply", option, "wbe")
    assert answer.status == 1 and "unknown-jail" in answer.err and "wbe" in answer.err
    assert desk.run("plan", "--detailed-exitcode").status == 2, "nothing was done"
