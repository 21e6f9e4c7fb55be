"""`reconcile package record`, `build` and `import`, typed as in the manual, on a sandbox."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk

WEB = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nmakejail: {text: 'CMD mkdir -p /usr/local/etc'}\n"
IN_JAIL = "cd /usr/local/etc; echo conf > site.conf; ln site.conf /etc/also; mkdir -p /var/cache/x /srv/empty"


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    desk = Desk(tmp_path, capsys, monkeypatch)
    desk.write("web.yaml", WEB)
    yield desk
    desk.run("sandbox", "shutdown")


def snapshots(desk: Desk) -> str:
    return desk.zfs("list", "-Hr", "-t", "all", "-o", "name", "zroot/reconciler")


def test_what_is_done_by_hand_becomes_a_package_and_nothing_of_it_stays_in_the_pool(desk):
    assert desk.run("apply").status == 0
    before = snapshots(desk)
    early = desk.run("package", "build", "web", "--name", "site", "--version", "1")
    assert early.status == 1 and "recording-none" in early.err
    assert desk.run("package", "record", "start", "web").status == 0
    assert "recorded from" in desk.run("plan").out
    again = desk.run("package", "record", "start", "web")
    assert again.status == 1 and "recording-exists" in again.err
    assert desk.run("exec", "web", "--", "sh", "-c", IN_JAIL).status == 0
    early = desk.run("package", "build", "web", "--name", "site", "--version", "1")
    assert early.status == 1 and "recording-running" in early.err
    for _ in range(2):
        assert desk.run("package", "record", "stop", "web").status == 0
    assert desk.run("exec", "web", "--", "touch", "/srv/too-late").status == 0
    made = desk.run("package", "build", "web", "--name", "site", "--version", "1")
    assert made.status == 0, made.err
    assert "left out: var/cache (" in made.out, made.out
    assert snapshots(desk) == before
    stem = "site-1_15.1-RELEASE-p0_amd64.tar.xz"
    shown = desk.run("package", "show", stem, "--files")
    assert shown.status == 0 and "usr/local/etc/site.conf" in shown.out and "too-late" not in shown.out
    assert "etc/also" in shown.out and "srv/empty" in shown.out and "made on:  layer/" in shown.out
    digest = (desk.folder / f"{stem}.sha256").read_text().split()[0]
    assert f"sha256:{digest}" in made.out
