"""The commands for the day after: drift, status, suspend, resume, exec, destroy, undelete, gc, history, explain."""

import json

import pytest

from tests.cli.conftest import DB, WEB


def test_a_property_changed_by_hand_is_drift_with_both_values(running):
    assert running.run("drift").status == 0
    running.zfs("set", "exec=off", "zroot/reconciler/volumes/web/www")
    answer = running.run("drift")
    assert answer.status == 2
    assert "~ volume/web/www  it was changed" in answer.out
    assert "exec: on → off" in answer.out
    found = json.loads(running.run("drift", "--json").out)
    assert [item["address"] for item in found] == ["volume/web/www"]


def test_a_changed_spec_is_no_drift(running):
    running.write("web.yaml", WEB.replace("/usr/local/www}", "/usr/local/www, quota: 1G}"))
    answer = running.run("drift")
    assert answer.status == 0
    assert "Not compared, for their specs are not applied yet: web." in answer.out


def test_status_shows_what_is_declared_recorded_and_observed(running):
    answer = running.run("status")
    assert answer.status == 0
    assert answer.out.splitlines()[0].split() == (
        ["NAME", "STATE", "RELEASE", "BUILT", "FROM", "BEHIND", "SUPPORT", "ROOT", "CHANGED"]
    )
    (web,) = json.loads(running.run("status", "web", "--json").out)
    assert (web["declared"], web["observed"]) == ("running", "running")
    assert web["release_recorded"] == web["release_observed"] == "15.1-RELEASE-p0"
    assert (web["live"], web["good"], web["off"]) == (1, 1, False)


def test_a_stopped_jail_is_status_2(running):
    running.run("sandbox", "shutdown")
    answer = running.run("status")
    assert answer.status == 2
    assert "stopped, not running" in answer.out


def test_a_suspended_jail_is_left_alone_until_it_is_resumed(running):
    assert running.run("suspend", "web", "--reason", "disk swap").status == 0
    running.write("web.yaml", WEB.replace("/usr/local/www}", "/usr/local/www, quota: 1G}"))
    plan = running.run("plan", "--detailed-exitcode")
    assert plan.status == 0
    assert "suspended: disk swap" in plan.out
    resumed = running.run("resume", "web")
    assert "quota: 0 → 1G" in resumed.out
    assert running.run("plan", "--detailed-exitcode").status == 2


def test_exec_passes_output_input_and_status_on(running):
    answer = running.run("exec", "db", "--", "sh", "-c", "cat; echo err >&2; exit 7", stdin=b"in\n")
    assert answer == (7, "in\n", "err\n")


def test_exec_in_no_jail_says_so(running):
    answer = running.run("exec", "nobody", "--", "true")
    assert answer.status == 1
    assert "error[jail-missing]" in answer.err


def test_destroy_refuses_what_a_spec_names(running):
    answer = running.run("destroy", "web", "--yes")
    assert answer.status == 3
    assert "error[still-declared]" in answer.err


def test_destroy_asks_and_refuses_strangers_by_name(running):
    (running.folder / "specs" / "web.yaml").unlink()
    answer = running.run("destroy", "web")
    assert answer.status == 3
    assert "error[not-confirmed]" in answer.err
    running.zfs("snapshot", "zroot/reconciler/volumes/web/www@backup")
    answer = running.run("destroy", "web", "--yes")
    assert answer.status == 3
    assert "zroot/reconciler/volumes/web/www@backup" in answer.err
    assert "zroot/reconciler/volumes/web/www" in running.zfs("list", "-H", "-o", "name")


def test_destroy_takes_the_jail_and_nothing_else(running):
    (running.folder / "specs" / "web.yaml").unlink()
    answer = running.run("destroy", "web", "--yes")
    assert answer.status == 0, answer
    assert "/web" not in running.zfs("list", "-H", "-o", "name")
    assert running.run("plan", "--detailed-exitcode").status == 0
    assert "destroy web" in running.run("history", "web").out
    stopped = running.run("sandbox", "shutdown")
    assert (stopped.status, "no jail.conf" in stopped.err) == (0, False), stopped


def test_a_pruned_jail_comes_back_with_its_data(running):
    (running.folder / "specs" / "web.yaml").unlink()
    assert running.run("apply").status == 0
    assert "pruned on" in running.run("status").out
    assert running.run("undelete", "web").status == 0
    assert running.run("undelete", "web").status == 1
    running.write("web.yaml", WEB)
    assert running.run("apply").status == 0
    assert running.run("exec", "web", "--", "true").status == 0


def test_gc_takes_a_release_that_nothing_needs_and_leaves_strangers(running):
    base = "zroot/reconciler/releases"
    assert running.run("gc").out == "Nothing to collect.\n"
    for name in ("web", "db"):
        (running.folder / "specs" / f"{name}.yaml").unlink()
        assert running.run("destroy", name, "--specs", "specs", "--yes").status == 0
    assert f"{base}/15.1-RELEASE-p0" in running.run("gc", "--dry-run", "--specs", "specs").out
    running.zfs("snapshot", f"{base}/15.1-RELEASE-p0@mine")
    assert running.run("gc", "--specs", "specs").out == "Nothing to collect.\n"
    running.zfs("destroy", f"{base}/15.1-RELEASE-p0@mine")
    running.zfs("release", "reconciler", f"{base}/15.1-RELEASE-p0@sealed")  # as a kill before the hold leaves it
    answer = running.run("gc", "--specs", "specs")
    assert answer.status == 0, answer
    assert "Freed" in answer.out
    assert f"{base}/15" not in running.zfs("list", "-H", "-o", "name")


def test_gc_takes_what_an_interrupted_build_left(running):
    host = running.zfs("get", "-H", "-o", "value", "reconciler:owner", "zroot/reconciler").partition(":")[0]
    left = "zroot/reconciler/layers/" + "a" * 64
    running.zfs("create", "-o", "mountpoint=legacy", "-o", f"reconciler:owner={host}:new:{left}", left)
    assert "unfinished" in running.run("gc", "--dry-run").out
    assert running.run("gc").status == 0
    assert left not in running.zfs("list", "-H", "-o", "name")


def test_a_file_written_into_a_root_is_deep_drift(running):
    assert running.run("exec", "db", "--", "touch", "/etc/by-hand").status == 0
    assert running.run("drift").status == 0
    answer = running.run("drift", "--deep")
    assert answer.status == 2
    assert "/etc/by-hand: as built → changed" in answer.out
    assert "wrote what nothing declares." in answer.out
    assert "drifted" not in answer.out
    assert "by-hand" not in running.run("drift", "--deep", "--only", "web").out
    (running.folder / "specs" / "db.yaml").write_text(DB + "state: stopped\n")
    assert running.run("apply").status == 0
    assert "were written to: db." in running.run("drift", "--deep").err


def test_history_tells_runs_and_steps(running):
    assert "web: start jail ... applied" in running.run("history").out
    (run,) = json.loads(running.run("history", "db", "--json").out)
    assert run["status"] == "done"
    assert {step["scope"] for step in run["steps"]} == {"db"}


def test_a_reboot_brings_the_jails_back_without_us(running):
    assert running.run("sandbox", "reboot").status == 0
    assert running.run("plan", "--detailed-exitcode").status == 0


def test_explain_tells_why_each_step_is_there(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("explain", "web")
    assert "start jail" in answer.out
    assert "spec   specs/web.yaml:1:1" in answer.out
    assert "host   jail/web is not there" in answer.out


def test_explain_of_nonsense_suggests(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("explain", "plan-stael")
    assert answer.status == 1
    assert "plan-stale" in answer.err


def test_completion_is_printed_for_each_shell(desk):
    for shell in ("bash", "zsh", "fish"):
        assert "_RECONCILE_COMPLETE" in desk.run("completion", shell).out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_answered_for_each_shell(desk, shell):
    desk.env |= {
        "_RECONCILE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "reconcile suspe",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "reconcile suspe",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    out, err = desk.start().communicate()
    assert "suspend" in out, err


def test_help_names_values_as_the_documentation_does(desk):
    assert "--only JAIL" in desk.run("plan", "--help").out


def test_history_tells_what_was_done_outside_a_plan_and_on_which_host(running):
    assert running.run("suspend", "web", "--reason", "disk swap").status == 0
    assert running.run("resume", "web").status == 0
    (running.folder / "specs" / "db.yaml").unlink()
    assert running.run("apply").status == 0
    assert running.run("undelete", "db").status == 0
    left = "zroot/reconciler/layers/" + "a" * 64
    host = running.zfs("get", "-H", "-o", "value", "reconciler:owner", "zroot/reconciler").partition(":")[0]
    running.zfs("create", "-o", "mountpoint=legacy", "-o", f"reconciler:owner={host}:new:{left}", left)
    assert running.run("gc").status == 0
    told = running.run("history").out
    for words in ("suspend web: disk swap", "resume web", "undelete db", "gc: 1 dataset"):
        assert f"{words} ... applied" in told or f"{words}, " in told, told
    assert running.run("gc").status == 0
    assert running.run("history").out == told, "a gc that found nothing did nothing"
    assert running.run("history", "--host", "ssh://elsewhere").out.startswith("Nothing was done on ssh://elsewhere")
    assert running.run("history", "--host", running.env["RECONCILER_HOST"]).out == told
    assert running.run("history", "--host", "sandbox:box").out == told, "the same folder, named from here"


def test_a_plan_names_its_host(running):
    running.write("web.yaml", WEB.replace("/usr/local/www}", "/usr/local/www, quota: 1G}"))
    assert running.run("plan").out.startswith(f"Host {running.env['RECONCILER_HOST']}\n\nweb")
