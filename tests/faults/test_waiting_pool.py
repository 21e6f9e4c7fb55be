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
    """The pool's datasets are encrypted, those below `of` by `root`, whose key has the given status."""

    of, root, status = "zroot/reconciler", "zroot/reconciler", "unavailable"

    def run(self, command: Command) -> Completed:
        return self._without_key(super().run(command))

    def batch(self, commands: object) -> list[Completed]:
        return [self._without_key(done) for done in super().batch(commands)]  # type: ignore[arg-type]

    def gather(self, commands: object, trees: object) -> tuple[list[Completed], dict[str, dict[str, bytes]]]:
        done, files = super().gather(commands, trees)  # type: ignore[arg-type]
        return [self._without_key(each) for each in done], files

    def _without_key(self, done: Completed) -> Completed:
        if done.argv[:2] != ("zfs", "list") or "keystatus" not in " ".join(done.argv):
            return done
        columns = done.argv[done.argv.index("-o") + 1].split(",")
        place, root = columns.index("keystatus"), columns.index("encryptionroot")
        rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
        for row in rows:
            if f"{row[0]}/".startswith(f"{self.of}/"):
                row[place], row[root] = self.status, self.root
        text = "".join("\t".join(row) + "\n" for row in rows)
        return Completed(done.argv, done.status, text.encode(), done.stderr)


def test_a_pool_without_its_key_is_waited_for(fleet: Fleet) -> None:
    fleet.write(SPEC)
    fleet.apply()
    locked = Locked(fleet.runner)
    with pytest.raises(Refused, match="load-key"):
        fleet.apply(locked)
    assert locked.changes == []


OTHER = SPEC.replace("web", "other")


def held_back(fleet: Fleet, below: str, status: str, text: str) -> dict[str, str]:
    """Why jails are held back, where what is below a dataset is encrypted and nothing else is."""
    locked = Locked(fleet.runner)
    locked.of, locked.root, locked.status = below, below, status
    fleet.write(text)
    notes = fleet.session(locked).decide().plan.notes
    return {note.scope: note.code for note in notes if note.failing}


@pytest.mark.parametrize(
    ("below", "status", "codes"),
    [
        ("jails", "available", {"web": "encryption-roots-differ", "other": "encryption-roots-differ"}),
        ("releases", "available", {"web": "encryption-roots-differ", "other": "encryption-roots-differ"}),
        ("jails/web", "available", {"web": "encryption-roots-differ"}),
        ("state/web", "available", {}),
        ("volumes/web", "available", {}),
        ("volumes/web", "unavailable", {"web": "key-not-loaded"}),
        ("state/web", "unavailable", {"web": "key-not-loaded"}),
        ("releases", "unavailable", {"web": "key-not-loaded", "other": "key-not-loaded"}),
    ],
)
def test_roots_and_what_they_are_cloned_from_have_one_key(
    fleet: Fleet, below: str, status: str, codes: dict[str, str]
) -> None:
    # A clone keeps its origin's encryption root wherever it lies (seen on OpenZFS 2.3.2): zfs-load-key(8).
    text = f"{SPEC}---\n{OTHER}"
    fleet.write(text)
    fleet.apply()
    changed = text.replace("stopped", "stopped\nkeep: [/root/x]")
    assert held_back(fleet, f"zroot/reconciler/{below}", status, changed) == codes


def test_a_root_that_is_a_whole_copy_may_have_another_key(fleet: Fleet) -> None:
    text = f"{SPEC}update: {{strategy: in_place}}\n---\n{OTHER}"
    fleet.write(text)
    fleet.apply()
    changed = text.replace("stopped", "stopped\nkeep: [/root/x]")
    assert held_back(fleet, "zroot/reconciler/jails", "available", changed) == {"other": "encryption-roots-differ"}


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
