"""What a jail wrote into its root: declared, or in the way of everything that would lose it."""

from __future__ import annotations

import pytest

from reconciler.guard import Consent
from reconciler.model.command import Command
from tests.fleet import Fleet, problems

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
volumes: [{name: www, mountpoint: /usr/local/www}]
"""
LIVE = "/reconciler/live/web"


def newer(spec: str) -> str:
    """The same on another release: another root."""
    return spec.replace("15.1-RELEASE", "14.4-RELEASE")


def inside(fleet: Fleet, script: str) -> str:
    """Run sh in the jail."""
    done = fleet.runner.run(Command(("jexec", "web", "/bin/sh", "-c", script)))
    assert done.status == 0, done.stderr
    return done.stdout.decode()


@pytest.fixture
def written(fleet: Fleet) -> Fleet:
    """A jail that wrote into its root."""
    fleet.write(SPEC)
    assert problems(fleet.apply()) == []
    inside(fleet, "echo mine > /etc/mine.conf; mkdir -p /var/lib/app; echo data > /var/lib/app/data")
    return fleet


def test_undeclared_changes_block_a_replacement_and_are_listed(written: Fleet) -> None:
    written.write(newer(SPEC))
    refusals = written.decide().refusals
    assert [refusal.code for refusal in refusals] == ["undeclared-changes"]
    assert "  /etc/mine.conf\n" in refusals[0].detail + "\n"
    assert "/var/lib/app/data" in refusals[0].detail
    assert written.decide(consent=Consent(data_loss=frozenset({"web"}))).refusals == ()


@pytest.mark.parametrize(
    "declared",
    ["ignore: [/etc/mine.conf, /var/lib/app]", "keep: [/etc/mine.conf, /var/lib/app]", "ignore: [/etc/*.conf, /var/*]"],
)
def test_what_is_declared_blocks_nothing(written: Fleet, declared: str) -> None:
    spec = SPEC + declared + "\n"
    written.write(spec)
    assert problems(written.apply()) == []
    written.write(newer(spec))
    assert written.decide().refusals == ()


def test_what_is_in_a_volume_is_not_in_the_way(fleet: Fleet) -> None:
    fleet.write(SPEC)
    assert problems(fleet.apply()) == []
    inside(fleet, "echo page > /usr/local/www/index.html; echo log > /var/log/messages; echo x > /tmp/x")
    fleet.write(newer(SPEC))
    assert fleet.decide().refusals == ()


def test_crontabs_and_kept_paths_are_in_the_next_root(written: Fleet) -> None:
    spec = SPEC + "keep: [/etc/mine.conf, /var/lib/app]\n"
    written.write(spec)
    assert problems(written.apply()) == []
    inside(written, "mkdir -p /var/cron/tabs; echo '@daily root true' > /var/cron/tabs/root")
    written.write(newer(spec))
    assert problems(written.apply()) == []
    assert inside(written, "cat /var/cron/tabs/root /etc/mine.conf /var/lib/app/data").splitlines() == [
        "@daily root true",
        "mine",
        "data",
    ]
    mounted = {m.target: m.source for m in written.session().observed.mounts}
    assert mounted[LIVE] == "zroot/reconciler/jails/web/2"
    assert written.titles() == []


def test_an_old_root_with_undeclared_changes_does_not_expire_silently(written: Fleet) -> None:
    """It stays until its changes are declared or somebody destroys it; one without goes."""
    consent = Consent(data_loss=frozenset({"web"}))
    spec = SPEC + "update: {keep: 1}\n"
    written.write(newer(spec))
    assert problems(written.apply(consent=consent)) == []
    written.write(spec)
    assert "web: destroy old root 1" in written.titles(consent=consent)
    assert problems(written.apply(consent=consent)) == []
    decided = written.decide()
    assert decided.plan.empty, written.titles()
    assert [note.code for note in decided.plan.notes] == ["root-kept"]
    assert "/etc/mine.conf" in decided.plan.notes[0].text
    assert "jails/web/1@sealed" in written.session().seen.rows
    declared = spec + "ignore: [/etc/mine.conf, /var/lib/app]\n"
    written.write(declared)
    written.runner.run(Command(("zfs", "inherit", "reconciler:kept", "zroot/reconciler/jails/web/1")))
    assert "web: destroy old root 1" in written.titles()
    assert problems(written.apply()) == []
    assert "jails/web/1" not in written.session().seen.rows
    assert written.titles() == []


def test_a_snapshot_does_not_hide_what_was_written_before_it(written: Fleet) -> None:
    """Zfs counts `written` from the latest snapshot; whoever made it, the changes are still undeclared."""
    written.runner.run(Command(("zfs", "snapshot", "zroot/reconciler/jails/web/1@mine")))
    written.write(newer(SPEC))
    assert [refusal.code for refusal in written.decide().refusals] == ["undeclared-changes"]


def test_a_jail_that_does_not_run_is_looked_into_before_its_root_is_replaced(written: Fleet) -> None:
    spec = SPEC + "state: stopped\n"
    written.write(spec)
    assert problems(written.apply()) == []
    written.write(newer(spec))
    (note,) = (note for note in written.decide().plan.notes if note.code == "undeclared-unseen")
    assert "root 1 was written to" in note.text
    with pytest.raises(AssertionError) as refused:
        written.apply()
    (refusal,) = refused.value.args[0]
    assert refusal.code == "undeclared-changes"
    assert "  /etc/mine.conf\n" in refusal.detail + "\n"
    assert "/var/lib/app/data" in refusal.detail
    assert [m.target for m in written.session().observed.mounts if "/build/" in m.target] == []
    consent = Consent(data_loss=frozenset({"web"}))
    assert "undeclared-unseen" not in {note.code for note in written.decide(consent=consent).plan.notes}
    declared = newer(spec) + "ignore: [/etc/mine.conf, /var/lib/app]\n"
    written.write(declared)
    assert problems(written.apply()) == []
    assert written.titles() == []
