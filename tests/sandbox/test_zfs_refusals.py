"""What the sandbox's zfs refuses, in the words and with the status of OpenZFS."""

from __future__ import annotations

import shlex

import pytest

from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed

# Command, status, first line of standard error. The pool: see `machine`.
REFUSALS = [
    ("zfs list zroot/nope", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs list nopool", 1, "cannot open 'nopool': dataset does not exist"),
    ("zfs list /nowhere", 1, "cannot open '/nowhere': No such file or directory"),
    ("zfs list -o bad zroot", 2, "bad property list: invalid property 'bad'"),
    ("zfs list -t bad zroot", 2, "invalid type 'bad'"),
    ("zfs list -t filesystem zroot/a@s", 1, "cannot open 'zroot/a@s': snapshot delimiter '@' is not expected here"),
    ("zfs get -H -o value used zroot/nope", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs get", 2, "missing property argument"),
    ("zfs get bad zroot", 2, "bad property list: invalid property 'bad'"),
    ("zfs destroy zroot/nope", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs destroy zroot/nope@x", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs destroy zroot/a@x", 1, "could not find any snapshots to destroy; check snapshot names."),
    ("zfs destroy zroot/a@x,y%z", 1, "could not find any snapshots to destroy; check snapshot names."),
    ("zfs destroy zroot/a", 1, "cannot destroy 'zroot/a': filesystem has children"),
    ("zfs destroy -r zroot/a", 1, "cannot destroy 'zroot/a': filesystem has dependent clones"),
    ("zfs destroy zroot/a@s", 1, "cannot destroy 'zroot/a@s': snapshot has dependent clones"),
    ("zfs destroy zroot/held@s", 1, ("cannot destroy snapshot zroot/held@s: it's being held. Run 'zfs holds -r"
     " zroot/held@s' to see holders.")),
    ("zfs destroy -r zroot/held", 1, ("cannot destroy snapshot zroot/held@s: it's being held. Run 'zfs holds -r"
     " zroot/held@s' to see holders.")),
    ("zfs destroy zroot", 1, "cannot destroy 'zroot': operation does not apply to pools"),
    ("zfs create zroot/a", 1, "cannot create 'zroot/a': dataset already exists"),
    ("zfs create zroot/no/parent", 1, "cannot create 'zroot/no/parent': parent does not exist"),
    ("zfs create nopool/x", 1, "cannot create 'nopool/x': no such pool 'nopool'"),
    ("zfs create 'zroot/bad!'", 1, "cannot create 'zroot/bad!': invalid character '!' in name"),
    ("zfs create zroot/pct%x", 1, "cannot create 'zroot/pct%x': invalid character % in name"),
    ("zfs create -o bad=1 zroot/q", 1, "cannot create 'zroot/q': invalid property 'bad'"),
    ("zfs create", 2, "missing filesystem argument"),
    ("zfs create -Z zroot/q", 2, "invalid option 'Z'"),
    ("zfs snapshot zroot/a@s", 1, "cannot create snapshot 'zroot/a@s': dataset already exists"),
    ("zfs snapshot zroot/nope@s", 2, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs snapshot zroot/a@b@c", 1, "cannot create snapshot 'zroot/a@b@c': multiple '@' and/or '#' delimiters in name"),
    ("zfs snapshot zroot/a@n zroot/a@m", 1, "cannot create snapshots : multiple snapshots of same fs not allowed"),
    ("zfs clone zroot/a@x zroot/cc", 1, "cannot open 'zroot/a@x': dataset does not exist"),
    ("zfs clone zroot/a@s zroot/held", 1, "cannot create 'zroot/held': dataset already exists"),
    ("zfs clone zroot/a@s other/x", 1, "cannot create 'other/x': no such pool 'other'"),
    ("zfs promote zroot/a", 1, "cannot promote 'zroot/a': not a cloned filesystem"),
    ("zfs rename zroot/a zroot/held", 1, "cannot rename 'zroot/a': dataset already exists"),
    ("zfs rename zroot/nope zroot/n", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs rollback zroot/a@x", 1, "cannot open 'zroot/a@x': dataset does not exist"),
    ("zfs rollback zroot/a@s", 1, "cannot rollback to 'zroot/a@s': more recent snapshots or bookmarks exist"),
    ("zfs set bad=1 zroot/a", 255, "cannot set property for 'zroot/a': invalid property 'bad'"),
    ("zfs set UPPER:bad=1 zroot/a", 255, "cannot set property for 'zroot/a': invalid property 'UPPER:bad'"),
    ("zfs set quota=1 zroot/a", 255, ("cannot set property for 'zroot/a': size is less than current used or reserved"
     " space")),
    ("zfs set quota=0 zroot/a", 255, "cannot set property for 'zroot/a': use 'none' to disable quota/refquota"),
    ("zfs create -o refquota=0K zroot/b", 1, "cannot create 'zroot/b': use 'none' to disable quota/refquota"),
    ("zfs set quota=abc zroot/a", 255, "cannot set property for 'zroot/a': bad numeric value 'abc'"),
    ("zfs set reservation=99T zroot/a", 255, "cannot set property for 'zroot/a': size is greater than available space"),
    ("zfs set used=1 zroot/a", 255, "cannot set property for 'zroot/a': 'used' is readonly"),
    ("zfs set canmount=x zroot/a", 255, ("cannot set property for 'zroot/a': 'canmount' must be one of 'on | off |"
     " noauto'")),
    (f"zfs set k:long={'x' * 9000} zroot/a", 255, "cannot set property for 'zroot/a': property value too long"),
    ("zfs set k:x=1 zroot/nope", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs inherit used zroot/a", 1, "used property is read-only"),
    ("zfs mount zroot/a", 1, "cannot mount 'zroot/a': filesystem already mounted"),
    ("zfs mount zroot/legacy", 1, "cannot mount 'zroot/legacy': legacy mountpoint"),
    ("zfs mount zroot/held", 1, "cannot mount 'zroot/held': no mountpoint set"),
    ("zfs unmount zroot/held", 1, "cannot unmount 'zroot/held': not currently mounted"),
    ("zfs unmount zroot/nope", 1, "cannot open 'zroot/nope': dataset does not exist"),
    ("zfs unmount zroot/a", 1, "cannot unmount '/a': pool or dataset is busy"),
    ("zfs rename zroot/parent zroot/other", 1, "cannot unmount '/busy/child': pool or dataset is busy"),
    ("zfs set mountpoint=/elsewhere zroot/a", 1, "cannot unmount '/a': pool or dataset is busy"),
    ("zfs hold keep zroot/a@x", 1, "cannot hold snapshot 'zroot/a@x': dataset does not exist"),
    ("zfs hold keep zroot/held@s", 1, "cannot hold snapshot 'zroot/held@s': tag already exists on this dataset"),
    ("zfs receive zroot/new", 1, "cannot receive: failed to read from stream"),
    ("zfs diff zroot/a@t zroot/a@s", 1, "Unable to obtain diffs: "),
    ("zfs bogus", 2, "unrecognized command 'bogus'"),
    ("zfs", 2, "missing command"),
    ("zpool status nopool", 1, "cannot open 'nopool': no such pool"),
    ("zfs create -V 10M zroot/volume", 1, "cannot create 'zroot/volume': volumes are not simulated"),
]  # fmt: skip


def run(machine: Machine, line: str) -> Completed:
    """One command line."""
    return machine.run(Command(tuple(shlex.split(line))))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with a mount inside /a, a clone, a hold, a legacy dataset and a busy child.

    One for all cases: none of them may change it.
    """
    made = Machine(tmp_path_factory.mktemp("refusals") / "machine")
    for line in (
        "zfs create -o mountpoint=/a zroot/a", "zfs create -o mountpoint=legacy zroot/legacy",
        "zfs create zroot/held", "zfs snapshot zroot/held@s", "zfs hold keep zroot/held@s",
        "zfs snapshot zroot/a@s", "zfs clone zroot/a@s zroot/clone", "zfs snapshot zroot/a@t",
        "mkdir /a/dev", "mount -t devfs devfs /a/dev",
        "zfs create zroot/parent", "zfs set mountpoint=/busy zroot/parent", "zfs create zroot/parent/child",
        "zfs create -o mountpoint=/busy2 zroot/parent/own",
        "mkdir /busy/child/dev", "mount -t devfs devfs /busy/child/dev",
    ):  # fmt: skip
        done = run(made, line)
        assert (done.status, done.stderr) == (0, b""), line
    return made


@pytest.mark.parametrize(("line", "status", "words"), REFUSALS, ids=[line[:60] for line, _, _ in REFUSALS])
def test_zfs_refuses_with_the_words_and_status_of_openzfs(machine: Machine, line: str, status: int, words: str) -> None:
    before = run(machine, "zfs list -Hp -r -t all -o name,guid,mountpoint,mounted,k:long").stdout
    done = run(machine, line)
    assert (done.status, done.stderr.decode().split("\n")[0]) == (status, words)
    assert run(machine, "zfs list -Hp -r -t all -o name,guid,mountpoint,mounted,k:long").stdout == before
