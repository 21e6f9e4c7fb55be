"""A pool whose key is not loaded, or that is not mounted, is waited for: never taken for empty."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Refused
from reconciler.wraps import RecordRunner
from tests.faults.conftest import Hand
from tests.fleet import Fleet

SPEC = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\n"


class Locked(RecordRunner):
    """The key of the pool's datasets is not loaded."""

    def run(self, command: Command) -> Completed:
        return self._without_key(super().run(command))

    def batch(self, commands: object) -> list[Completed]:
        return [self._without_key(done) for done in super().batch(commands)]  # type: ignore[arg-type]

    def gather(self, commands: object, trees: object) -> tuple[list[Completed], dict[str, dict[str, bytes]]]:
        done, files = super().gather(commands, trees)  # type: ignore[arg-type]
        return [self._without_key(each) for each in done], files

    @staticmethod
    def _without_key(done: Completed) -> Completed:
        if done.argv[:2] != ("zfs", "list") or "keystatus" not in " ".join(done.argv):
            return done
        columns = done.argv[done.argv.index("-o") + 1].split(",")
        place, root = columns.index("keystatus"), columns.index("encryptionroot")
        rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
        for row in rows:
            row[place], row[root] = "unavailable", "zroot/reconciler"
        text = "".join("\t".join(row) + "\n" for row in rows)
        return Completed(done.argv, done.status, text.encode(), done.stderr)


def test_a_pool_without_its_key_is_waited_for(fleet: Fleet) -> None:
    fleet.write(SPEC)
    fleet.apply()
    locked = Locked(fleet.runner)
    with pytest.raises(Refused, match="load-key"):
        fleet.apply(locked)
    assert locked.changes == []


@pytest.mark.parametrize("dataset", ["zroot/reconciler/jails/web", "zroot/reconciler/jails", "zroot/reconciler"])
def test_what_is_not_mounted_is_waited_for(fleet: Fleet, hand: Hand, dataset: str) -> None:
    fleet.write(SPEC)
    fleet.apply()
    for name in ("jails/web", "jails", "state/web", "state", ""):
        whole = f"zroot/reconciler/{name}".rstrip("/")
        if whole == dataset or whole.startswith(dataset + "/"):
            hand("zfs", "unmount", whole)
    record = RecordRunner(fleet.runner)
    with pytest.raises(Refused) as refused:
        fleet.apply(record)
    assert refused.value.diagnostics[0].code == "pool-waiting"
    assert dataset in refused.value.diagnostics[0].detail
    assert record.changes == []
    hand("zfs", "mount", "-a")
    assert fleet.titles() == []
