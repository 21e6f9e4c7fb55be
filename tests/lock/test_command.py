"""`reconcile lock`: what it writes, what moves and what does not, and what a build makes of it."""

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

from reconciler.hosts.sandbox import mirror, toys

from .test_include import commit, git

WEB = """kind: Jail
name: web
release: 15.1-RELEASE
pkg: [nginx]
"""
MAKEJAIL = WEB.replace("pkg: [nginx]", "makejail: {file: Makejail}")
ABI = "FreeBSD:15:amd64"


def catalogue(desk) -> Path:
    """The sandbox's package repository, as a file of lines."""
    folder = mirror.ensure_mirror(desk.folder / "box")
    return folder / "pkg" / ABI / "latest" / "packagesite.jsonl"


def release(desk, name: str, **fields: object) -> None:
    """A new build of a package comes out, and that before it goes."""
    folder = catalogue(desk).parent
    mirror.packages(folder, [replace(toy, **fields) if toy.name == name else toy for toy in toys.catalogue()])


def tampered(desk, name: str, **fields: object) -> None:
    """The catalogue says something else of a package, whose archive stays."""
    path = catalogue(desk)
    packages = [json.loads(line) for line in path.read_text().splitlines()]
    for package in packages:
        if package["name"] == name:
            package.update(fields)
    path.write_text("".join(json.dumps(package) + "\n" for package in packages))


def lock_text(desk) -> str:
    return (desk.folder / "specs/reconcile.lock").read_text()


def test_packages_are_pinned_with_all_that_they_need_and_stay_until_they_are_moved(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("lock")
    assert answer.status == 0, answer
    assert "nginx" in answer.out and "pcre2" in answer.out
    first = lock_text(desk)
    assert "repository: FreeBSD" in first and "checksum:" in first and "needs: [pcre2]" in first
    release(desk, "nginx", version="9.9")
    assert "Nothing moved" in desk.run("lock").out
    assert lock_text(desk) == first
    answer = desk.run("lock", "--update", "nginx")
    assert "→ 9.9" in answer.out, answer
    assert 'version: "9.9"' in lock_text(desk)


def test_a_moved_upstream_changes_no_plan_until_the_lock_moves(desk):
    desk.write("web.yaml", WEB)
    loose = desk.run("plan")
    assert "nothing pins" in loose.out
    desk.run("lock")
    before = desk.run("plan").out
    assert "nothing pins" not in before and before != loose.out
    release(desk, "pcre2", version="9.9")
    assert desk.run("plan").out == before
    desk.run("lock", "--update")
    assert desk.run("plan").out != before


def test_a_build_is_what_the_lock_says_or_it_is_not_made(desk):
    desk.write("web.yaml", WEB)
    desk.run("lock")
    release(desk, "pcre2", version="9.9")
    answer = desk.run("build", "web")
    assert answer.status == 1
    assert "pkg-not-as-locked" in answer.out + answer.err
    assert "pcre2 is pinned to" in answer.out + answer.err


def test_a_locked_build_is_made_and_nothing_is_left_to_do(desk):
    desk.write("web.yaml", WEB)
    desk.run("lock")
    assert desk.run("build", "web").status == 0
    assert "already" in desk.run("build", "web").out
    desk.run("sandbox", "shutdown")


def test_an_archive_of_the_same_version_with_another_checksum_is_refused(desk):
    desk.write("web.yaml", WEB)
    desk.run("lock")
    release(desk, "nginx", comment="Built anew")
    answer = desk.run("build", "web")
    assert "another checksum" in answer.out + answer.err
    tampered(desk, "nginx", sum="ab" * 32)  # a mirror that does not keep to its own catalogue
    answer = desk.run("build", "web")
    assert answer.status == 1 and "failed checksum" in answer.err


def test_what_a_makejail_installs_and_includes_is_pinned_too(desk):
    repository = desk.folder / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    first = commit(repository, {"Makejail": "PKG redis\n"})
    desk.write("web.yaml", MAKEJAIL)
    desk.write("Makejail", f"INCLUDE git+{repository}\n")
    answer = desk.run("plan")
    assert answer.status == 1 and "include-unpinned" in answer.err
    assert desk.run("validate").status == 1
    assert desk.run("lock", "--check").status == 2
    assert desk.run("lock", "specs").status == 0
    assert first in lock_text(desk) and "redis" in lock_text(desk)
    assert desk.run("lock", "--check").status == 0
    assert desk.run("validate").status == 0
    before = desk.run("plan")
    assert before.status == 0 and "nothing pins" not in before.out
    second = commit(repository, {"Makejail": "PKG nginx\n"})
    assert desk.run("plan").out == before.out
    answer = desk.run("lock", "specs", "--update", str(repository))
    assert f"{first[:12]} → {second[:12]}" in answer.out
    assert "nginx" in lock_text(desk) and "redis" not in lock_text(desk)
    assert desk.run("plan").out != before.out


def test_origins_and_names_with_versions_are_pinned_as_the_packages_they_mean(desk):
    redis = next(p for p in map(json.loads, catalogue(desk).read_text().splitlines()) if p["name"] == "redis")
    desk.write("web.yaml", WEB.replace("[nginx]", f"[redis-{redis['version']}]"))
    desk.write("other.yaml", MAKEJAIL.replace("web", "other"))
    desk.write("Makejail", "PKG local/nginx nginx\n")
    assert "nothing pins" in desk.run("plan").out
    assert desk.run("lock", "--check").status == 2
    assert desk.run("lock").err == ""
    assert "named: [" in lock_text(desk) and '"local/nginx"' in lock_text(desk) and "pcre2" in lock_text(desk)
    assert desk.run("lock", "--check").status == 0
    assert "nothing pins" not in desk.run("plan").out
    release(desk, "nginx", version="9.9")
    assert "Nothing moved" in desk.run("lock").out
    answer = desk.run("build", "other")
    assert answer.status == 1 and "nginx is pinned to" in answer.out + answer.err
    assert "→ 9.9" in desk.run("lock", "--update", "local/nginx").out
    assert desk.run("build", "other").status == 0
    desk.write("Makejail", "PKG nginx\n")
    desk.run("lock")
    assert "local/nginx" not in lock_text(desk) and "  nginx:" in lock_text(desk)
    desk.run("sandbox", "shutdown")


def test_an_origin_that_no_repository_has_is_said(desk):
    desk.write("web.yaml", MAKEJAIL)
    desk.write("Makejail", "PKG www/nothing\n")
    answer = desk.run("lock")
    assert answer.status == 1 and "lock-package-missing" in answer.err and "www/nothing" in answer.err


def test_check_names_what_is_not_pinned_and_writes_nothing(desk):
    desk.write("web.yaml", WEB)
    answer = desk.run("lock", "--check")
    assert answer.status == 2
    assert "package-unpinned" in answer.err and "web.yaml:4" in answer.err
    assert not (desk.folder / "specs/reconcile.lock").exists()


def test_a_package_that_no_repository_has_leaves_the_lock_as_it_was(desk):
    desk.write("web.yaml", WEB.replace("nginx", "nginx, nothing-of-that-name"))
    answer = desk.run("lock")
    assert answer.status == 1 and "lock-package-missing" in answer.err
    assert not (desk.folder / "specs/reconcile.lock").exists()


def test_a_name_that_is_not_pinned_cannot_be_moved(desk):
    desk.write("web.yaml", WEB)
    desk.run("lock")
    answer = desk.run("lock", "--update", "redis")
    assert answer.status == 1 and "lock-unknown-name" in answer.err
    assert desk.run("lock", "redis").status == 64
    assert desk.run("lock", "--check", "--update").status == 64


def test_a_damaged_lock_stops_a_plan_at_its_line(desk):
    desk.write("web.yaml", WEB)
    desk.run("lock")
    desk.write("reconcile.lock", lock_text(desk).replace("version: 1", "<<<<<<< ours\nversion: 1"))
    answer = desk.run("plan")
    assert answer.status == 1 and "reconcile.lock:" in answer.err
    desk.write("reconcile.lock", "version: 7\n")
    assert "lock-invalid" in desk.run("plan").err


def test_unpinned_content_is_refused_by_policy_and_pinned_content_is_not(desk):
    desk.write("web.yaml", WEB + "---\nkind: Host\nname: here\nmatch: {labels: {a: b}}\npolicy: {unpinned: deny}\n")
    refused = desk.run("plan", "--label", "a=b")
    assert refused.status == 1 and "policy.unpinned is deny" in refused.out
    desk.run("lock", "--label", "a=b")
    assert desk.run("plan", "--label", "a=b").status == 0


def test_a_file_from_the_network_is_pinned_by_its_digest(desk):
    (desk.folder / "www").mkdir()
    (desk.folder / "www/Makejail").write_text("RAW true\n")
    url, stop = mirror.serve(desk.folder / "www")
    try:
        desk.write("web.yaml", MAKEJAIL)
        desk.write("Makejail", f"INCLUDE fetch+{url}/Makejail\n")
        assert desk.run("lock").status == 0
        (desk.folder / "www/Makejail").write_text("RAW false\n")
        before = desk.run("plan")
        assert before.status == 0, before
        answer = desk.run("lock", "--update", f"{url}/Makejail")
        assert f"~ files  {url}/Makejail" in answer.out
        assert desk.run("plan").out != before.out
    finally:
        stop()


def test_a_makejail_inside_a_spec_includes_what_is_pinned_and_no_file(desk):
    repository = desk.folder / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    commit(repository, {"Makejail": "RAW one\n", "other": "RAW two\n"})
    desk.write("Makejail", "RAW file\n")
    inline = f"makejail: {{text: 'INCLUDE git+{repository}'}}"
    desk.write("web.yaml", WEB.replace("pkg: [nginx]", inline))
    assert "include-unpinned" in desk.run("validate").out
    assert desk.run("lock", "specs").status == 0
    assert desk.run("validate").status == 0
    assert desk.run("plan").status == 0
    desk.write("web.yaml", WEB.replace("pkg: [nginx]", "makejail: {text: 'INCLUDE Makejail'}"))
    assert "include-missing" in desk.run("validate").out


def archive(desk, text: str) -> None:
    """What is there to be added: one file."""
    folder = desk.folder / "www"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(text)
    with tarfile.open(folder / "a.tar", "w") as made:
        made.add(folder / "file", "file")


def test_what_add_reads_is_held_to_its_digest_and_comes_through_the_tool(desk):
    archive(desk, "one\n")
    url, stop = mirror.serve(desk.folder / "www")
    try:
        desk.write("web.yaml", MAKEJAIL)
        desk.write("Makejail", f"ADD {url}/a.tar /usr/local\n")
        assert "nothing pins" in desk.run("plan").out
        assert desk.run("lock", "--check").status == 2
        assert desk.run("lock").err == ""
        assert desk.run("lock", "--check").status == 0
        planned = desk.run("plan").out
        assert "nothing pins" not in planned and "not part of the layer" not in planned
        archive(desk, "two\n")
        assert desk.run("plan").out == planned
        answer = desk.run("build", "web")
        assert answer.status == 1 and "digest-mismatch" in answer.err
        desk.run("lock", "--update")
        assert desk.run("plan").out != planned
        answer = desk.run("build", "web")
        assert answer.status == 0, answer
    finally:
        stop()
    # The server has gone, and so has all that this machine kept: the pool has it.
    shutil.rmtree(desk.folder / "cache")
    assert "a.tar" not in desk.run("gc").out
    answer = desk.run("build", "web", "--no-cache")
    assert answer.status == 0, answer
    desk.run("sandbox", "shutdown")


def test_latest_is_a_number_that_stays_until_it_is_moved(desk):
    desk.write("web.yaml", "kind: Jail\nname: web\nrelease: 15.1-RELEASE\npatch_level: latest\nstate: stopped\n")
    assert "`latest` of 15.1-RELEASE is not pinned: -p0 is taken" in desk.run("plan").out
    answer = desk.run("lock", "--check")
    assert answer.status == 2 and "release-unpinned" in answer.err and "web.yaml:4" in answer.err
    assert desk.run("lock").status == 0
    assert '"15.1-RELEASE": 1' in lock_text(desk)
    pinned = desk.run("plan")
    assert "patch release 15.1-RELEASE-p0 to -p1" in pinned.out and "not pinned" not in pinned.out
    lock = desk.folder / "specs/reconcile.lock"
    lock.write_text(lock_text(desk).replace(": 1\n", ": 0\n").replace("version: 0", "version: 1"))
    assert "patch release" not in desk.run("plan").out
    assert "Nothing moved" in desk.run("lock").out
    assert "15.1-RELEASE  0 → 1" in desk.run("lock", "--update", "15.1-RELEASE").out
    assert desk.run("plan").out == pinned.out


def test_a_lock_never_goes_back_to_a_level_below_its_own(desk):
    desk.write("web.yaml", "kind: Jail\nname: web\nrelease: 15.1-RELEASE\n")
    (desk.folder / "specs/reconcile.lock").write_text('version: 1\nreleases:\n  "15.1-RELEASE": 4\n')
    answer = desk.run("lock", "--update")
    assert answer.status == 1 and "update-tag-replayed" in answer.err
    assert '"15.1-RELEASE": 4' in lock_text(desk)


def test_a_policy_holds_back_what_says_latest_and_is_not_pinned(desk):
    host = "---\nkind: Host\nname: here\nmatch: {labels: {a: b}}\npolicy: {unpinned: deny}\n"
    jail = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\npatch_level: latest\n"
    desk.write("web.yaml", jail + host)
    refused = desk.run("plan", "--label", "a=b")
    assert refused.status == 1 and "policy.unpinned is deny" in refused.out
    assert desk.run("lock", "--label", "a=b").status == 0
    assert desk.run("plan", "--label", "a=b").status == 0
