"""`reconcile plan`: what it says, and that it changes nothing."""

import json
import re
from pathlib import Path

import pytest

from reconciler.cli.plan_json import PlanDocument, schema
from tests.cli.conftest import DB, WEB

GOLDEN = """\
Host sandbox:FOLDER/box

(shared)
  + create dataset pool
  + record FOLDER/specs as the source of this pool
  + create dataset jails
  + write /etc/rc.conf.d/reconciler_jails
  + write /usr/local/etc/rc.d/reconciler_jails
  + create dataset layers
  + create dataset releases
  + create dataset state
  + create dataset volumes
  + fetch release 15.1-RELEASE-p0                           specs/web.yaml:3

web                                                         specs/web.yaml
  + create dataset jails/web
  + create dataset state/web
  + create dataset volumes/web
  + create volume log                                       specs/web.yaml:5
  + create volume www                                       specs/web.yaml:5
  + root 1                                                  specs/web.yaml:3
  + write jail.conf, fstab and hooks                        specs/web.yaml:1
  + start jail                                              specs/web.yaml:1
  + record root 1 as good                                   specs/web.yaml:1
  ! `latest` of 15.1-RELEASE is not pinned: -p0 is taken. For the newest: reconcile lock  specs/web.yaml:1

Plan: 19 to create, 0 to change, 0 to remove.
"""


def test_a_first_plan_reads_like_this(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("plan")
    assert answer.out.replace(str(desk.folder), "FOLDER") == GOLDEN
    assert answer.status == 0
    assert answer.err == ""


def test_a_plan_creates_nothing_on_the_host(desk):
    desk.write("web.yaml", WEB)
    desk.run("plan")
    assert "reconciler" not in desk.zfs("list", "-H", "-o", "name")


def test_differences_are_an_exit_status_only_when_asked_for(desk):
    desk.write("web.yaml", WEB)
    assert desk.run("plan").status == 0
    assert desk.run("plan", "--detailed-exitcode").status == 2


def test_the_json_of_a_plan_is_the_schemas(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("plan", "--json")
    raw = json.loads(answer.out)
    document = PlanDocument.model_validate_json(answer.out)
    assert raw.keys() == schema()["properties"].keys()
    assert raw["steps"][0].keys() == schema()["$defs"]["StepDocument"]["properties"].keys()
    assert [step.number for step in document.steps] == list(range(1, len(document.steps) + 1))
    assert all(max(step.waits, default=0) < step.number for step in document.steps)
    assert all(step.reason for step in document.steps)
    assert document.summary.create == len(document.steps)


def test_the_schema_in_the_repository_is_the_models():
    stored = (Path(__file__).parents[2] / "schemas" / "plan.json").read_text()
    assert json.loads(stored) == schema()


def test_an_invalid_spec_is_shown_with_its_line_and_never_reaches_the_host(desk):
    desk.write("web.yaml", WEB.replace("release", "relaese"))
    answer = desk.run("plan")
    assert answer.status == 1
    assert "specs/web.yaml:3" in answer.err
    assert not (desk.folder / "box").exists()


def test_only_narrows_to_a_jail(desk):
    desk.write("web.yaml", WEB)
    desk.write("db.yaml", DB)
    answer = desk.run("plan", "--only", "db")
    assert "\ndb  " in answer.out
    assert "\nweb  " not in answer.out
    assert "unchanged" not in answer.out


def test_only_of_an_unknown_jail_is_an_error(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("plan", "--only", "wbe")
    assert answer.status == 1
    assert "error[unknown-jail]" in answer.err


@pytest.mark.parametrize(
    "argv",
    [("plan", "--bogus"), ("plan", "--label", "nothing"), ("apply", "--jobs", "0"), ("apply", "x", "--plan", "y")],
)
def test_a_wrong_command_line_is_status_64(desk, argv):
    assert desk.run(*argv).status == 64


def test_text_is_plain_where_it_is_no_terminal(desk):
    desk.write("web.yaml", WEB)
    assert "\x1b" not in desk.run("plan").out


def test_a_changed_volume_shows_both_values_and_the_line(running):
    running.write("web.yaml", WEB.replace("/usr/local/www}", "/usr/local/www, quota: 1G}"))
    answer = running.run("plan")
    assert re.search(r"~ correct volume www +specs/web.yaml:5\n +quota: 0 → 1G", answer.out)
    assert "1 jail unchanged." in answer.out
