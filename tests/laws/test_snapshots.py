"""Before a root is replaced, it and the volumes are snapshotted at one moment; the snapshots go with the old root."""

from __future__ import annotations

from reconciler.model.command import Command
from tests.fleet import Fleet, problems
from tests.laws.test_converge import CHANGED, ONE


def snapshots(fleet: Fleet, name: str) -> list[str]:
    """The snapshots below web's datasets whose name holds `name`."""
    rows = fleet.session().observed.datasets
    return [r.name.removeprefix("zroot/reconciler/") for r in rows if r.kind == "snapshot" and name in r.name]


def test_a_replacement_is_preceded_by_snapshots_that_go_with_the_old_root(fleet: Fleet) -> None:
    fleet.write(ONE)
    assert problems(fleet.apply()) == []
    fleet.runner.write("/reconciler/live/web/usr/local/www/page", b"one")
    fleet.write(CHANGED)
    assert problems(fleet.apply()) == []
    assert sorted(snapshots(fleet, "@before-2")) == [
        "jails/web/1@before-2",
        "volumes/web/log@before-2",
        "volumes/web/www@before-2",
    ]
    assert fleet.titles() == []
    fleet.write(ONE.replace("name: web", "name: web\nupdate: {keep: 1}"))
    assert problems(fleet.apply()) == []
    assert snapshots(fleet, "@before-2") == []
    assert "volumes/web/www@before-3" in snapshots(fleet, "@before-3")
    fleet.runner.run(Command(("zfs", "hold", "mine", "zroot/reconciler/volumes/web/www@before-3")))
    fleet.write(CHANGED.replace("name: web", "name: web\nupdate: {keep: 1}"))
    assert problems(fleet.apply()) == []
    assert snapshots(fleet, "www@before-3") == ["volumes/web/www@before-3"]
    assert fleet.titles() == []
