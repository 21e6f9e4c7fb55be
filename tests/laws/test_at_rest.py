"""A fleet looked at in parts is at rest when, and only when, its whole plan says nothing."""

from __future__ import annotations

from reconciler.at_rest import at_rest
from reconciler.model.command import Command
from tests.fleet import Fleet, problems

JAIL = """
kind: Jail
name: {name}
release: 15.1-RELEASE
network: {{addresses: [{{interface: lo0, address: 10.0.0.{number}/32}}]}}
volumes: [{{name: data, mountpoint: /var/db/app, quota: 1G}}]
limits: {{maxproc: 200}}
devfs: {devfs}
depends_on: {depends}
"""
NAMES = ("ant", "bee", "cat", "dog", "eel")


def write(fleet: Fleet) -> None:
    for number, name in enumerate(NAMES, start=1):
        # Dependencies and numbers of rulesets reach across the parts.
        depends = "[ant]" if name == "eel" else "[]"
        devfs = "[path bpf* unhide]" if name in ("ant", "eel") else "[]"
        fleet.write(JAIL.format(name=name, number=number, depends=depends, devfs=devfs), f"{name}.yaml")


def rests(fleet: Fleet) -> bool:
    """What both ways of looking say; they may not disagree."""
    decided = fleet.decide()
    whole = decided.plan.empty and not decided.plan.notes and not decided.refusals
    parts = at_rest(fleet.session(), 2)
    assert (parts is not None) == whole
    return whole


def run(fleet: Fleet, *argv: str) -> None:
    assert fleet.runner.run(Command(argv)).status == 0


def test_a_fleet_in_parts_rests_when_its_whole_plan_is_empty(fleet: Fleet) -> None:
    write(fleet)
    assert not rests(fleet)
    assert problems(fleet.apply()) == []
    assert rests(fleet)
    assert at_rest(fleet.session(), len(NAMES)) is None, "one that fits into one part is planned whole"
    jails = "zroot/reconciler/jails"
    for wrong, right in (
        (("zfs", "set", "quota=5G", "zroot/reconciler/volumes/dog/data"),
         ("zfs", "set", "quota=1G", "zroot/reconciler/volumes/dog/data")),
        (("zfs", "set", "reconciler:suspended=by hand", f"{jails}/cat"),
         ("zfs", "inherit", "reconciler:suspended", f"{jails}/cat")),
        (("zfs", "set", "reconciler:inputs=others", f"{jails}/eel"), ()),
        (("rctl", "-r", "jail:bee:maxproc:deny"), ()),
        (("ifconfig", "lo0", "inet", "10.0.0.2/32", "-alias"), ()),
        (("zfs", "inherit", "reconciler:source", "zroot/reconciler"), ()),
        (("zfs", "release", "reconciler", "zroot/reconciler/releases/15.1-RELEASE-p0@sealed"), ()),
        (("jail", "-r", "ant"), ()),
    ):  # fmt: skip
        run(fleet, *wrong)
        assert not rests(fleet), wrong
        if right:
            run(fleet, *right)
        else:
            fleet.apply()
        assert rests(fleet), wrong


def test_a_jail_that_no_spec_names_any_more_is_seen_beside_the_parts(fleet: Fleet) -> None:
    write(fleet)
    fleet.apply()
    (fleet.specs / "eel.yaml").unlink()
    assert not rests(fleet)
    fleet.apply()
    assert rests(fleet)


def test_two_parts_that_would_be_renamed_into_each_other_are_planned_whole(fleet: Fleet) -> None:
    write(fleet)
    fleet.apply()
    (fleet.specs / "bee.yaml").unlink()
    text = JAIL.format(name="wasp", number=2, depends="[]", devfs="[]")
    fleet.write(text + "renamed_from: bee\n", "wasp.yaml")
    assert not rests(fleet)
