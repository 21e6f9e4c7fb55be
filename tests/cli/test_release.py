"""`reconcile release`: what there is, and having it here."""

import json
import re

RELEASE = "kind: Release\nname: 15.1-RELEASE\nmirror: file:///nowhere\n"


def test_a_fresh_host_sees_what_its_mirror_offers(desk):
    answer = desk.run("release", "list")
    assert answer.status == 0
    assert answer.out.splitlines()[0].split() == ["RELEASE", "HERE", "NEWEST", "SUPPORT", "JAILS"]
    assert re.search(r"^15\.1-RELEASE +- +p\d+ +supported until 2027-03-31 +-$", answer.out, re.MULTILINE)


def test_what_is_here_and_who_uses_it_is_shown(desk):
    desk.write("db.yaml", "kind: Jail\nname: db\nrelease: 15.1-RELEASE\nstate: stopped\n")
    assert desk.run("apply", "specs").status == 0
    listed = json.loads(desk.run("release", "list", "--json").out)
    found = {release["name"]: release for release in listed["releases"]}
    used = found["15.1-RELEASE"]
    (jail,) = used["jails"]
    assert (jail["name"], used["wanted_by"]) == ("db", ["db"]) and jail["level"] in used["here"]
    assert (used["support"]["source"], used["eol"]) == ("tag", False) and used["newest_level"] >= 0
    assert (found["14.4-RELEASE"]["here"], found["14.4-RELEASE"]["jails"]) == ([], [])
    assert listed["problems"] == []


def test_offline_the_table_is_asked_and_what_is_not_known_says_so(desk):
    desk.write("release.yaml", RELEASE + "---\nkind: Release\nname: 15.9-RELEASE\n")
    answer = desk.run("release", "list", "--offline")
    assert answer.status == 0
    assert "download-denied" in answer.err
    rows = {line.split()[0]: line for line in answer.out.splitlines()}
    assert "supported until 2027-03-31" in rows["15.1-RELEASE"]
    assert rows["15.9-RELEASE"].split()[2:4] == ["unknown", "unknown"]
    assert "newer than the host, not in the mirror's list" in rows["15.9-RELEASE"]


def test_a_mirror_that_is_away_is_one_warning(desk):
    answer = desk.run("release", "list", "--mirror", "file:///nowhere")
    assert answer.status == 0
    assert answer.err.count("mirror-not-found") == 1
