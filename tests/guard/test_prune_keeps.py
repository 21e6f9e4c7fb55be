"""A pruned jail keeps everything: its roots, its files, its volumes."""

from __future__ import annotations

from tests.fleet import Fleet, problems

TWO = "".join(
    f"---\nkind: Jail\nname: {name}\nrelease: 15.1-RELEASE\nvolumes: [{{name: data, mountpoint: /data}}]\n"
    for name in ("web", "app")
)
ONE = TWO.split("---\nkind: Jail\nname: app")[0]


def rows(fleet: Fleet) -> dict[str, str]:
    """Every dataset and snapshot with its guid."""
    return {row.name: row.guid for row in fleet.session().observed.datasets}


def test_a_pruned_jail_keeps_its_root_and_comes_back_with_it(fleet: Fleet) -> None:
    fleet.write(TWO)
    assert problems(fleet.apply()) == []
    fleet.runner.write("/reconciler/live/app/root/precious", b"mine")
    before = rows(fleet)
    fleet.write(ONE)
    assert problems(fleet.apply()) == []
    assert rows(fleet) == before
    assert fleet.titles() == []
    fleet.write(TWO)
    assert problems(fleet.apply()) == []
    assert fleet.runner.read("/reconciler/live/app/root/precious") == b"mine"
    assert rows(fleet) == before
    assert fleet.titles() == []


def test_a_suspended_jail_that_leaves_the_specs_is_left_alone(fleet: Fleet) -> None:
    from reconciler.model.command import Command

    fleet.write(TWO)
    assert problems(fleet.apply()) == []
    fleet.runner.run(Command(("zfs", "set", "reconciler:suspended=looking", "zroot/reconciler/jails/app")))
    fleet.write(ONE)
    assert fleet.titles() == []
    assert [note.code for note in fleet.decide().plan.notes] == ["suspended"]
