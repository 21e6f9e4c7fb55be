"""`reconcile package import`, and recordings that come to nothing, typed as in the manual. Slow: `make test-slow`."""

from __future__ import annotations

from .test_by_hand import IN_JAIL, WEB, desk, snapshots

__all__ = ["desk"]


def test_a_jail_as_it_is_becomes_a_package_of_what_distinguishes_it_from_its_release(desk):
    assert desk.run("apply").status == 0
    assert desk.run("exec", "web", "--", "sh", "-c", IN_JAIL).status == 0
    before = snapshots(desk)
    made = desk.run("package", "import", "web", "--name", "all", "--version", "2", "--up-to", "any")
    assert made.status == 0, made.err
    assert snapshots(desk) == before
    shown = desk.run("package", "show", "all-2_15.1-RELEASE-p0_amd64.tar.xz", "--files").out
    assert "usr/local/etc/site.conf" in shown and "release/15.1-RELEASE-p0" in shown and "p0 and later" in shown
    assert "etc/ssh" not in shown


def test_a_recording_is_discarded_or_refused_with_what_to_do(desk):
    assert desk.run("apply").status == 0
    before = snapshots(desk)
    assert desk.run("package", "record", "start", "web", "--restart").status == 64
    assert desk.run("package", "record", "start", "web", "--method", "overlay").status == 64
    assert "unknown-jail" in desk.run("package", "record", "start", "nobody").err
    assert desk.run("package", "record", "start", "web").status == 0
    (desk.folder / "specs/web.yaml").rename(desk.folder / "web.yaml")
    refused = desk.run("destroy", "web", "--yes")
    assert refused.status == 3 and "recording-not-ended" in refused.err, refused
    assert "package record discard web" in refused.err
    (desk.folder / "web.yaml").rename(desk.folder / "specs/web.yaml")
    assert desk.run("package", "record", "discard", "web").status == 0
    assert snapshots(desk) == before
    root = next(name for name in before.split() if name.startswith("zroot/reconciler/jails/web/") and "@" not in name)
    desk.zfs("snapshot", "-o", "reconciler:recording=2026", f"{root}@importing")
    desk.zfs("hold", "reconciler", f"{root}@importing")
    left = desk.run("package", "record", "discard", "web")
    assert left.status == 0 and "left is gone" in left.out, left
    assert snapshots(desk) == before
    desk.write("brief.yaml", "kind: Jail\nname: brief\nrelease: 15.1-RELEASE\nephemeral: true\n")
    assert desk.run("apply").status == 0
    held = snapshots(desk)
    assert "recording-ephemeral" in desk.run("package", "record", "start", "brief").err
    assert desk.run("package", "import", "brief", "--name", "all", "--version", "1").status in (0, 1)
    assert snapshots(desk) == held
    for word in ("start", "stop"):
        desk.run("package", "record", word, "web")
    empty = desk.run("package", "build", "web", "--name", "site", "--version", "1")
    assert empty.status == 1 and "recording-empty" in empty.err


def test_the_root_of_a_jail_that_is_updated_in_place_is_recorded_and_imported_too(desk):
    desk.write("web.yaml", f"{WEB}update: {{strategy: in_place}}\n")
    assert desk.run("apply").status == 0
    assert desk.run("package", "record", "start", "web").status == 0
    assert desk.run("exec", "web", "--", "sh", "-c", IN_JAIL).status == 0
    assert desk.run("package", "record", "stop", "web").status == 0
    made = desk.run("package", "build", "web", "--name", "site", "--version", "1")
    assert made.status == 0, made.err
    shown = desk.run("package", "show", "site-1_15.1-RELEASE-p0_amd64.tar.xz", "--files").out
    assert "release/15.1-RELEASE-p0" in shown and "etc/also" in shown and "built" not in shown.split()
    before = snapshots(desk)
    made = desk.run("package", "import", "web", "--name", "all", "--version", "1")
    assert made.status == 0, made.err
    assert snapshots(desk) == before
    shown = desk.run("package", "show", "all-1_15.1-RELEASE-p0_amd64.tar.xz", "--files").out
    assert "release/15.1-RELEASE-p0" in shown and "usr/local/etc/site.conf" in shown and "etc/rc.subr" not in shown
    assert desk.run("package", "verify", "all-1_15.1-RELEASE-p0_amd64.tar.xz").status == 0
