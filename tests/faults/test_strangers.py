"""What is not ours is never touched, and says so when it stands in the way."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Hand
from tests.fleet import Fleet, problems

SPEC = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\n"
OTHER = SPEC.replace("15.1", "14.4")
VOLUME = SPEC + "volumes: [{name: www, mountpoint: /usr/local/www}]\n"
JAILS = SPEC + "---\n" + SPEC.replace("web", "api")


def guid(hand: Hand, dataset: str) -> str:
    """What tells one dataset from another of the same name."""
    return hand("zfs", "get", "-H", "-o", "value", "guid", dataset).strip()


@pytest.mark.parametrize(
    ("path", "spec"),
    [("jails/web/2", OTHER), ("releases/14.4-RELEASE-p0", OTHER), ("volumes/web/www", VOLUME), ("jails/api", JAILS)],
)
def test_a_dataset_of_somebody_else_is_in_the_way_and_stays(fleet: Fleet, hand: Hand, path: str, spec: str) -> None:
    fleet.write(SPEC)
    fleet.apply()
    dataset = f"zroot/reconciler/{path}"
    hand("zfs", "create", "-o", "mountpoint=none", dataset)
    before = guid(hand, dataset)
    fleet.write(spec)
    report = fleet.apply()
    assert {"dataset-foreign", "dataset-exists"} & {d.code for r in report.failed for d in r.diagnostics}
    assert dataset in "".join(problems(report))
    assert guid(hand, dataset) == before
    hand("zfs", "rename", dataset, "zroot/elsewhere")
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_received_copy_inside_our_tree_is_foreign(fleet: Fleet, hand: Hand) -> None:
    from reconciler.model.command import Command

    fleet.write(VOLUME)
    fleet.apply()
    hand("zfs", "snapshot", "zroot/reconciler/volumes/web/www@backup")
    sent = fleet.runner.run(Command(("zfs", "send", "-p", "zroot/reconciler/volumes/web/www@backup"))).stdout
    hand("zfs", "receive", "-u", "zroot/reconciler/volumes/web/copy", stdin=sent)
    before = guid(hand, "zroot/reconciler/volumes/web/copy")
    assert fleet.titles() == []
    assert guid(hand, "zroot/reconciler/volumes/web/copy") == before
    assert "//" not in "".join(fleet.session().seen.rows)
    assert "volumes/web/copy" not in fleet.session().seen.rows


def test_snapshots_and_holds_of_the_operator_stay_and_block_nothing(fleet: Fleet, hand: Hand) -> None:
    fleet.write(VOLUME)
    fleet.apply()
    mine = ["jails/web/1@mine", "volumes/web/www@mine", "releases/15.1-RELEASE-p0@mine", "jails/web@mine"]
    for name in mine:
        hand("zfs", "snapshot", f"zroot/reconciler/{name}")
        hand("zfs", "hold", "operator", f"zroot/reconciler/{name}")
    assert fleet.titles() == []
    fleet.write(VOLUME.replace("15.1", "14.4"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    listed = hand("zfs", "list", "-H", "-t", "snapshot", "-o", "name").split()
    assert {f"zroot/reconciler/{name}" for name in mine} <= set(listed)


def test_an_old_root_with_a_snapshot_of_the_operator_is_kept(fleet: Fleet, hand: Hand) -> None:
    spec = SPEC + "update: {keep: 1}\n"
    fleet.write(spec)
    fleet.apply()
    hand("zfs", "snapshot", "zroot/reconciler/jails/web/1@mine")
    fleet.write(spec.replace("15.1", "14.4"))
    fleet.apply()
    fleet.write(spec + 'makejail: {text: "CMD echo three > /etc/three"}\n')
    report = fleet.apply()
    listed = hand("zfs", "list", "-H", "-t", "snapshot", "-o", "name").split()
    assert "zroot/reconciler/jails/web/1@mine" in listed
    assert "zroot/reconciler/jails/web/1@sealed" in listed, problems(report)


def test_a_jail_of_our_name_that_somebody_started_elsewhere_is_left_alone(fleet: Fleet, hand: Hand) -> None:
    hand("mkdir", "-p", "/jails/web")
    hand("jail", "-c", "name=web", "path=/jails/web", "persist")
    jid = hand("jls", "-j", "web", "jid").strip()
    fleet.write(SPEC.replace("state: stopped\n", ""))
    report = fleet.apply()
    assert not report.ok
    assert "jail-exists" in {d.code for r in report.failed for d in r.diagnostics}, problems(report)
    assert hand("jls", "-j", "web", "jid").strip() == jid
    hand("jail", "-r", "web")
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_jail_of_somebody_else_is_not_stopped_to_go_back_to_the_good_root(fleet: Fleet, hand: Hand) -> None:
    running = SPEC.replace("state: stopped\n", "")
    fleet.write(running)
    fleet.apply()
    hand("jail", "-f", "/reconciler/jails/web/jail.conf", "-r", "web")
    hand("mkdir", "-p", "/jails/web")
    hand("jail", "-c", "name=web", "path=/jails/web", "persist")
    jid = hand("jls", "-j", "web", "jid").strip()
    fleet.write(running.replace("15.1", "14.4"))
    assert not fleet.apply().ok
    assert hand("jls", "-j", "web", "jid").strip() == jid
    hand("jail", "-r", "web")
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
