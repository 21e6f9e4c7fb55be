"""What must hold on a host after the run that follows a crash. Everything is observed, nothing is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.kind import Seen
from reconciler.model.command import Command
from reconciler.model.ports import Observed
from reconciler.reconcile import Session
from tests.fleet import Fleet

CANARY = b"not ours to lose\n"
PRIVATE_RULESETS = 40000


def orphans(fleet: Fleet) -> list[str]:
    """What a crash left on the host, and the next run should have taken away; in words."""
    session = fleet.session()
    observed = session.observed
    running = {row.name for row in observed.jails}
    found = [
        *_jails(observed),
        *_mounts(observed, running, session),
        *_datasets(session.seen),
        *_network(observed, running),
        *_files(fleet, session),
    ]
    found += [f"limit {rule}" for rule in observed.limits if rule.split(":")[1] not in running]
    return found


def _jails(observed: Observed) -> Iterator[str]:
    for row in observed.jails:
        if row.name.startswith("rcb-") or row.dying:
            yield f"jail {row.name}"


def _mounts(observed: Observed, running: set[str], session: Session) -> Iterator[str]:
    build, live = session.place.folder("build"), session.place.folder("live")
    targets = [row.target for row in observed.mounts]
    for target in targets:
        jail = target.removeprefix(live + "/").partition("/")[0]
        left = target.startswith(live + "/") and jail not in running
        if left or target.startswith(build) or targets.count(target) > 1:
            yield f"mount {target}"


def _datasets(seen: Seen) -> Iterator[str]:
    """Every dataset of ours is claimed by its guid; what is built has its snapshot, is readonly and unmounted."""
    snapshots = {path.partition("@")[0] for path in seen.rows if "@" in path}
    for path, row in seen.rows.items():
        if "@" in path:
            continue
        if seen.place.owner(row) != "ours":
            yield f"dataset {path} is not claimed"
        parts = path.split("/")
        built = len(parts) == 2 and parts[0] in ("releases", "layers")
        root = len(parts) == 3 and parts[0] == "jails"
        if (built or root) and path not in snapshots:
            yield f"dataset {path} was never finished"
        if built and (not row.readonly or row.mounted):
            yield f"dataset {path} is readonly={row.readonly} mounted={row.mounted}"
    for row in seen.observed.datasets:
        if row.name.startswith(seen.place.pool + "/") and row.kind != "snapshot" and seen.place.owner(row) == "foreign":
            yield f"dataset {row.name} is nobody's"


def _network(observed: Observed, running: set[str]) -> Iterator[str]:
    for row in observed.interfaces:
        jail = row.description.removeprefix("reconciler: ")
        unnamed = row.name.startswith("epair") or row.name.startswith("bridge")
        pair = "bridge" not in row.groups and row.description.startswith("reconciler: ") and not row.members
        if unnamed or (pair and "_" in row.name and jail not in running):
            yield f"interface {row.name} ({row.description})"
    for anchor in sorted(observed.firewall):
        if anchor.removeprefix("reconciler/") not in running:
            yield f"pf anchor {anchor}"


def _files(fleet: Fleet, session: Session) -> Iterator[str]:
    for path in fleet.runner.tree(session.place.folder("build")):
        yield f"file build/{path}"
    for path in session.observed.files:
        if path.endswith("jail.conf.new"):
            yield f"file {path}"


def put_canaries(fleet: Fleet, volumes: tuple[str, ...]) -> None:
    """Write a file into each volume, as its jail would."""
    for volume in volumes:
        with _mounted(fleet, volume) as folder:
            fleet.runner.write(f"{folder}/canary", CANARY)


def lost(fleet: Fleet, volumes: tuple[str, ...]) -> list[str]:
    """Volumes that are gone, or whose content is."""
    gone = []
    for volume in volumes:
        try:
            with _mounted(fleet, volume) as folder:
                if fleet.runner.read(f"{folder}/canary") != CANARY:
                    gone.append(f"the content of volume {volume}")
        except LookupError as error:
            gone.append(str(error))
    return gone


@contextmanager
def _mounted(fleet: Fleet, volume: str) -> Iterator[str]:
    """Where a volume is mounted; one that is not is mounted for a moment. Raises LookupError when it cannot be."""
    dataset = f"zroot/reconciler/volumes/{volume}"
    for row in fleet.session().observed.mounts:
        if row.source == dataset:
            yield row.target
            return
    folder = f"/mnt/{volume.replace('/', '-')}"
    fleet.runner.run(Command(("mkdir", "-p", folder)))
    done = fleet.runner.run(Command(("mount", "-t", "zfs", dataset, folder)))
    if done.status:
        raise LookupError(f"volume {dataset}: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        fleet.runner.run(Command(("umount", folder)))


def jids(fleet: Fleet, names: tuple[str, ...]) -> dict[str, int]:
    """The numbers of running jails."""
    return {row.name: row.jid for row in fleet.session().observed.jails if row.name in names}
