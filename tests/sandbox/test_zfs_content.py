"""What datasets hold: snapshots keep it, clones start from it, and a kill loses nothing of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.hosts.sandbox.served import ServedRunner
from reconciler.model.command import Command
from reconciler.model.diagnostic import HostError, Refused


class Host(SandboxRunner):
    """A sandbox whose commands must succeed."""

    def do(self, *argv: str, stdin: bytes = b"") -> str:
        done = self.run(Command(argv, stdin))
        assert done.status == 0, done
        return done.stdout.decode("utf-8", "replace")

    def value(self, name: str, prop: str) -> str:
        return self.do("zfs", "get", "-Hpo", "value", prop, name).rstrip("\n")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine with zroot/a mounted on /a."""
    made = Host(tmp_path / "machine")
    made.do("zfs", "create", "-o", "mountpoint=/a", "zroot/a")
    return made


def trees(host: Host) -> set[str]:
    """The trees on disk."""
    return {name for name in os.listdir(host.machine.directory / "data") if "." not in name} - {"empty"}


def test_written_is_nothing_after_a_snapshot_and_something_after_a_change(host: Host) -> None:
    host.write("/a/file", b"one")
    host.do("zfs", "snapshot", "zroot/a@s")
    assert host.value("zroot/a", "written") == "0"
    for change in ("chmod 444 /a/file", "chown www /a/file", "touch /a/new", "rm /a/file", "mv /a/file /a/other"):
        host.do("zfs", "rollback", "zroot/a@s")
        assert host.value("zroot/a", "written") == "0"
        host.do(*change.split())
        assert int(host.value("zroot/a", "written")) > 0, change


def test_a_snapshot_keeps_what_the_dataset_loses(host: Host) -> None:
    host.write("/a/file", b"one")
    host.do("zfs", "snapshot", "zroot/a@s")
    host.write("/a/file", b"two")
    assert host.do("cat", "/a/.zfs/snapshot/s/file") == "one"
    host.do("zfs", "rollback", "zroot/a@s")
    assert host.read("/a/file") == b"one"


def test_a_clone_copies_nothing_until_it_is_written_and_then_never_touches_its_origin(host: Host) -> None:
    host.write("/a/file", b"one")
    host.do("zfs", "snapshot", "zroot/a@s")
    before = trees(host)
    host.do("zfs", "clone", "-o", "mountpoint=/b", "zroot/a@s", "zroot/b")
    host.do("zfs", "snapshot", "zroot/b@t")
    assert host.read("/b/file") == b"one" and trees(host) == before
    host.write("/b/file", b"two")
    assert host.read("/a/file") == b"one"
    assert host.do("cat", "/b/.zfs/snapshot/t/file") == "one"


def test_copies_share_no_inode_but_keep_hard_links_among_themselves(host: Host) -> None:
    host.write("/a/one", b"x")
    host.do("ln", "/a/one", "/a/two")
    host.do("zfs", "snapshot", "zroot/a@s")
    infos = [
        host.machine.resolve(f"{top}/{name}").stat() for top in ("/a", "/a/.zfs/snapshot/s") for name in ("one", "two")
    ]
    assert infos[0].st_ino == infos[1].st_ino != infos[2].st_ino == infos[3].st_ino


def test_trees_that_nobody_names_are_deleted(host: Host) -> None:
    host.write("/a/file", b"one")
    host.do("zfs", "snapshot", "zroot/a@s")
    host.do("zfs", "destroy", "-r", "zroot/a")
    assert trees(host) == set()


def test_a_snapshot_after_one_that_was_destroyed_holds_what_is_there_now(host: Host) -> None:
    host.write("/a/file", b"one")
    host.do("zfs", "snapshot", "zroot/a@first")
    host.write("/a/file", b"two")
    for _ in range(2):
        host.do("zfs", "snapshot", "zroot/a@again")
        assert host.do("cat", "/a/.zfs/snapshot/again/file") == "two"
        host.do("zfs", "destroy", "zroot/a@again")
    assert host.do("zfs", "get", "-Hpo", "value", "written", "zroot/a") != "0\n"


def clone_without_commit(host: Host) -> None:
    """A clone that is copied, and then forgotten."""
    with host.machine.state.transaction():
        host.do("zfs", "clone", "-o", "mountpoint=/b", "zroot/a@s", "zroot/b")
        host.machine.resolve("/b/file")
        raise RuntimeError("killed before the commit")


def test_what_a_kill_left_behind_is_swept_and_what_counts_stays(host: Host) -> None:
    host.write("/a/file", b"one")
    host.do("zfs", "snapshot", "zroot/a@s")
    kept = trees(host)
    with pytest.raises(RuntimeError):
        clone_without_commit(host)
    (host.machine.directory / "data" / "tmp-half").mkdir()
    again = Host(host.machine.directory)
    assert again.run(Command(("zfs", "list", "zroot/b"))).status == 1
    again.machine.sweep()
    assert trees(again) == kept and again.read("/a/file") == b"one"


def test_two_processes_see_each_others_changes(host: Host) -> None:
    other = Host(host.machine.directory)
    host.do("zfs", "create", "zroot/new")
    assert other.do("zfs", "list", "-Ho", "name", "zroot/new") == "zroot/new\n"
    other.do("zfs", "destroy", "zroot/new")
    assert host.run(Command(("zfs", "list", "zroot/new"))).status == 1


def test_a_rename_is_told_from_a_removal_in_any_later_copy(host: Host) -> None:
    host.write("/a/old name", b"x")
    host.do("zfs", "snapshot", "zroot/a@s")
    host.do("zfs", "clone", "-o", "mountpoint=/b", "zroot/a@s", "zroot/b")
    host.do("mv", "/b/old name", "/b/new")
    host.write("/b/added", b"y")
    host.do("zfs", "snapshot", "zroot/b@t")
    lines = host.do("zfs", "diff", "-FH", "zroot/a@s", "zroot/b@t").splitlines()
    assert lines == ["M\t/\t/b/", "+\tF\t/b/added", "R\tF\t/b/old\\0040name\t/b/new"]


def test_what_is_said_of_a_file_by_one_of_its_names_is_no_change_by_another(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("/a/one", b"x")
    for name in ("two", "three"):
        host.do("ln", "/a/one", f"/a/{name}")
    host.do("chmod", "4755", "/a/two")
    host.do("zfs", "snapshot", "zroot/a@s")
    host.write("/a/more", b"y")
    listed, trees_seen = os.listdir, list[str]()

    def alternately(path: str | Path) -> list[str]:
        if str(path) not in trees_seen:
            trees_seen.append(str(path))
        return sorted(listed(path), reverse=trees_seen.index(str(path)) % 2 == 1)

    monkeypatch.setattr(os, "listdir", alternately)
    said = host.do("zfs", "diff", "-FH", "zroot/a@s")
    assert len(trees_seen) == 2 and said == "M\t/\t/a/\n+\tF\t/a/more\n"


def test_links_of_a_hostile_jail_stay_inside_the_machine(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_bytes(b"secret")
    root = host.machine.resolve("/a")
    (root / "absolute").symlink_to(outside)
    (root / "climb").symlink_to("../" * 30 + str(outside).lstrip("/"))
    (root / "folder").symlink_to(tmp_path)
    for path in ("/a/absolute", "/a/climb", "/a/folder/secret"):
        assert host.run(Command(("cat", path))).status == 1
        with pytest.raises(HostError, match=r"symbolic link|No such file"):
            host.write(path, b"changed")
    assert host.machine.resolve("/a/../../../..") == host.machine.host
    assert outside.read_bytes() == b"secret"


def hostile_archive() -> bytes:
    """Members that would leave the folder, and one that does not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
        for name in ("../up", "/top", "link/passwd", "fine"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    return buffer.getvalue()


def test_tar_writes_nothing_outside_its_folder(host: Host) -> None:
    done = host.run(Command(("tar", "-C", "/a", "-xpf", "-"), hostile_archive()))
    assert done.status == 1
    assert done.stderr.decode().splitlines() == [
        "tar: ../up: Path contains '..'",
        "tar: Removing leading '/' from member names",
        "tar: link/passwd: Cannot extract through symlink link",
        "tar: Error exit delayed from previous errors.",
    ]
    assert host.do("ls", "/a") == "fine\nlink\ntop\n"
    assert host.do("ls", "/etc") == ""


def test_tar_carries_owner_mode_and_flags_through_the_sidecar(host: Host) -> None:
    host.write("/a/file", b"x")
    host.do("chmod", "4511", "/a/file")
    host.do("chown", "www:operator", "/a/file")
    host.do("chflags", "schg,nodump", "/a/file")
    packed = host.run(Command(("tar", "-C", "/a", "-cJf", "-", "."))).stdout
    host.do("mkdir", "/a/copy")
    host.do("tar", "-xpJf", "-", "-C", "/a/copy", stdin=packed)
    assert host.do("stat", "-f", "%Sp %Su %Sg %Sf", "/a/copy/file") == "-r-s--x--x www operator schg,nodump\n"
    assert host.run(Command(("rm", "-rf", "/a/copy"))).stderr.startswith(b"rm: /a/copy/file: Operation not permitted")


def test_a_server_answers_as_the_machine_does(host: Host) -> None:
    served = ServedRunner(host.machine.directory)
    try:
        served.write("/a/file", b"x" * 3_000_000)
        assert served.read("/a/file") == b"x" * 3_000_000 and served.read("/a/none") is None
        assert served.tree("/a") == {"file": b"x" * 3_000_000}
        command = Command(("zfs", "list", "-Ho", "name,mountpoint"))
        assert served.run(command) == host.run(command)
        with pytest.raises(HostError, match="host-file"):
            served.write("/no/such/file", b"")
        with (
            host.lock("/var/run/lock", "run 1"),
            pytest.raises(Refused, match="run 1"),
            served.lock("/var/run/lock", "2"),
        ):
            raise AssertionError("two held one lock")
    finally:
        served.close()


def test_a_new_machine_has_a_pool_a_root_and_dev(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "new")
    assert machine.run(Command(("zfs", "list", "-Ho", "name"))).stdout == b"zroot\n"
    assert machine.run(Command(("mount",))).stdout == b"/dev/vtbd0 on / (ufs, local)\ndevfs on /dev (devfs)\n"
