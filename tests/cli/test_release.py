"""`reconcile release`: what there is, and having it here."""

import json
import re

import pytest

from tests.fleet import mirror

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


HOST = 'kind: Host\nname: here\nmatch: {{hostname: "*"}}\npolicy: {{{0}}}\n'
OLD = "kind: Jail\nname: old\nrelease: 13.5-RELEASE\nstate: stopped\n"


def test_releases_are_fetched_together_once(desk):
    first = desk.run("release", "fetch", "15.1-RELEASE", "14.4-RELEASE")
    assert first.status == 0, first
    assert first.out.count("fetch release") == 2
    again = desk.run("release", "fetch", "15.1-RELEASE")
    assert again.status == 0
    assert again.out == "15.1-RELEASE-p0 is here already.\n"
    found = {r["name"]: r["here"] for r in json.loads(desk.run("release", "list", "--json").out)["releases"]}
    assert found == {"14.4-RELEASE": [0], "15.1-RELEASE": [0]}


def test_what_cannot_be_fetched_does_not_keep_the_others(desk):
    answer = desk.run("release", "fetch", "14.3-RELEASE", "15.1-RELEASE")
    assert answer.status == 1
    assert "release-eol" in answer.err and "mirror-not-found" in answer.err
    assert "fetch release 15.1-RELEASE-p0 ... done" in answer.out


def test_everything_wrong_is_said_before_anything_is_fetched(desk):
    answer = desk.run("release", "fetch", "15.1-RELEASE-p2", "nonsense", "15.1-RELEASE")
    assert answer.status == 1
    assert "patch-level-unavailable" in answer.err and "release-name-malformed" in answer.err
    assert answer.out == ""
    assert desk.run("release", "fetch").status == 1
    assert desk.run("release", "fetch", "15.1-RELEASE", "--manifest", "sha256:12").status == 64


def test_the_command_line_may_pin_a_manifest(desk):
    answer = desk.run("release", "fetch", "15.1-RELEASE", "--manifest", "sha256:" + "0" * 64)
    assert answer.status == 1
    assert "digest-mismatch" in answer.err
    assert "fetch release" not in answer.out


@pytest.mark.parametrize("jail", [OLD, "kind: Jail\nname: new\nrelease: 15.9-RELEASE\nstate: stopped\n"])
def test_a_host_may_refuse_releases_that_are_old_or_too_new(desk, jail):
    code = "release-eol" if "13.5" in jail else "release-newer-than-host"
    name = jail.split()[3], re.search(r"release: (\S+)", jail)[1]
    desk.write("host.yaml", HOST.format("eol: deny, newer_than_host: deny"))
    refused = desk.run("release", "fetch", name[1])
    assert (refused.status, code in refused.err) == (3, True)
    desk.write("jail.yaml", jail)
    held = desk.run("plan", "specs")
    assert held.status == 1 and "is deny" in held.out and "fetch release" not in held.out
    desk.write("host.yaml", HOST.format("eol: warn"))
    warned = desk.run("plan", "specs")
    text = "nobody fixes what is found in it" if "eol" in code else "whose kernel may lack what it needs"
    assert text in warned.out and "fetch release" in warned.out
    desk.write("host.yaml", HOST.format("eol: allow, newer_than_host: allow"))
    assert text not in desk.run("plan", "specs").out


def test_a_host_may_be_told_to_download_nothing(desk, tmp_path):
    desk.write("host.yaml", HOST.format("downloads: deny"))
    answer = desk.run("release", "fetch", "15.1-RELEASE")
    assert answer.status == 1 and "download-denied" in answer.err
    folder = mirror(tmp_path / "mirror", "15.1-RELEASE")
    assert desk.run("release", "fetch", "15.1-RELEASE", "--mirror", folder).status == 0


def test_a_sandbox_has_base_packages_and_they_are_not_fetched_ahead(desk):
    document = "kind: Release\nname: 15.1-RELEASE\nmethod: pkgbase\nsets: [base-jail]\n"
    jail = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\npatch_level: 1\n"
    desk.write("r.yaml", f"{document}---\n{jail}")
    ahead = desk.run("release", "fetch", "15.1-RELEASE")
    assert ahead.status == 1 and "pkgbase-by-apply" in ahead.err
    done = desk.run("apply")
    assert done.status == 0 and "install release 15.1-RELEASE-p1 from packages" in done.out, done
    listed = {r["name"]: r for r in json.loads(desk.run("release", "list", "--json").out)["releases"]}
    assert listed["15.1-RELEASE"]["here"] == [1]
