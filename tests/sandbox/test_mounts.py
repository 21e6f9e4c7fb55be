"""The mount table: what lies where, what is busy, and what a reboot leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import HostError


class Host(SandboxRunner):
    """A sandbox whose commands must succeed."""

    def do(self, line: str) -> str:
        done = self.ask(line)
        assert done.status == 0, done
        return done.stdout.decode()

    def ask(self, line: str) -> Completed:
        return self.run(Command(tuple(line.split())))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A legacy root on /live/web and a volume on /data."""
    made = Host(tmp_path / "machine")
    made.do("zfs create -o mountpoint=legacy -o canmount=noauto zroot/root")
    made.do("zfs create -o mountpoint=/data zroot/data")
    made.do("mkdir -p /live/web")
    made.write("/data/file", b"kept")
    return made


def test_a_legacy_dataset_is_mounted_by_mount_alone(host: Host) -> None:
    assert host.ask("zfs mount zroot/root").status == 1
    host.do("mount -t zfs zroot/root /live/web")
    assert host.do("zfs get -H -o value mounted zroot/root") == "yes\n"
    host.write("/live/web/etc", b"")
    assert host.ask("mount -t zfs zroot/root /mnt").stderr == b"mount: zroot/root: Device busy\n"
    host.do("umount /live/web")
    assert host.read("/live/web/etc") is None


def test_nullfs_shows_its_source_and_refuses_writes_when_read_only(host: Host) -> None:
    host.do("mount_nullfs -o ro /data /mnt")
    assert host.read("/mnt/file") == b"kept"
    with pytest.raises(HostError, match="Read-only"):
        host.write("/mnt/file", b"changed")
    assert host.ask("rm /mnt/file").stderr == b"rm: /mnt/file: Read-only file system\n"


def test_what_something_stands_on_is_busy(host: Host) -> None:
    host.do("mount -t zfs zroot/root /live/web")
    host.do("mkdir /live/web/dev /live/web/data")
    host.do("mount -t devfs -o ruleset=4 devfs /live/web/dev")
    host.do("mount -t nullfs /data /live/web/data")
    assert host.ask("umount /live/web").stderr == b"umount: unmount of /live/web failed: Device busy\n"
    assert host.ask("zfs unmount zroot/data").stderr == b"cannot unmount '/data': pool or dataset is busy\n"
    assert host.ask("zfs destroy zroot/root").stderr == b"cannot unmount '/live/web': pool or dataset is busy\n"
    targets = [mount["target"] for mount in host.machine.mounts_below("/live/web")]
    assert set(targets[:2]) == {"/live/web/data", "/live/web/dev"} and targets[2] == "/live/web"
    for target in targets:
        host.do(f"umount {target}")
    host.do("zfs destroy zroot/root")


def test_an_fstab_is_mounted_in_order_once_and_unmounted_in_reverse(host: Host) -> None:
    host.do("mount -t zfs zroot/root /live/web")
    host.do("mkdir -p /live/web/dev /live/web/a\\040b")
    host.do("umount /live/web")
    text = "zroot/root /live/web zfs rw 0 0\ndevfs /live/web/dev devfs rw,ruleset=4 0 0\n"
    host.write("/tmp/fstab", (text + "tmpfs /live/web/dev tmpfs rw,noauto 0 0\n").encode())
    before = host.do("mount -p")
    host.do("mount -a -F /tmp/fstab")
    host.do("mount -a -F /tmp/fstab")
    assert host.do("mount").splitlines()[-2:] == [
        "zroot/root on /live/web (zfs, local, nfsv4acls)", "devfs on /live/web/dev (devfs)",
    ]  # fmt: skip
    host.do("umount -a -F /tmp/fstab")
    assert host.do("mount -p") == before


def test_a_missing_generation_refuses_instead_of_showing_an_empty_folder(host: Host) -> None:
    done = host.ask("mount -t zfs zroot/none /live/web")
    assert (done.status, done.stderr) == (1, b"mount: zroot/none: No such file or directory\n")


def test_a_devfs_ruleset_that_does_not_exist_shows_every_device(host: Host) -> None:
    host.do("mount -t devfs -o ruleset=4 devfs /mnt")
    assert "mem" not in host.do("ls /mnt").split()
    host.do("umount /mnt")
    host.do("mount -t devfs -o ruleset=4711 devfs /mnt")
    assert {"mem", "kmem", "vtbd0"} <= set(host.do("ls /mnt").split())


def test_renaming_a_mounted_dataset_moves_its_mountpoint_with_it(host: Host) -> None:
    host.do("zfs create zroot/data/below")
    host.do("zfs inherit mountpoint zroot/data")
    host.do("zfs set mountpoint=/top zroot")
    host.do("zfs rename zroot/data zroot/moved")
    assert host.do("zfs mount").split() == [
        "zroot",
        "/top",
        "zroot/moved",
        "/top/moved",
        "zroot/moved/below",
        "/top/moved/below",
    ]
    assert host.read("/top/moved/file") == b"kept"


def test_a_reboot_leaves_data_and_takes_what_lived_in_memory(host: Host) -> None:
    host.do("mount -t zfs zroot/root /live/web")
    host.write("/live/web/file", b"kept too")
    host.do("mount -t tmpfs tmpfs /mnt")
    host.write("/mnt/secret", b"gone")
    host.machine.reboot()
    assert [mount["target"] for mount in host.machine.mounts.all()] == ["/", "/dev", "/data"]
    assert host.read("/data/file") == b"kept" and host.read("/mnt/secret") is None
    assert not list((host.machine.directory / "tmpfs").glob("*"))
    host.do("mount -t zfs zroot/root /live/web")
    assert host.read("/live/web/file") == b"kept too"


@pytest.mark.parametrize(("asked", "shown"), [("nosuid", False), ("nosuid,nosetuid", True), ("nosetuid", True)])
def test_zfs_takes_away_a_nosuid_that_is_not_in_its_own_words(host: Host, asked: str, shown: bool) -> None:
    # OpenZFS, module/os/freebsd/zfs/zfs_vfsops.c: setuid_changed_cb clears MNT_NOSUID where the property is on.
    host.do(f"mount -t zfs -o rw,noexec,{asked} zroot/root /live/web")
    (line,) = (line for line in host.do("mount").splitlines() if line.startswith("zroot/root "))
    assert ("nosuid" in line) is shown and "noexec" in line


@pytest.mark.parametrize("fstype", ["procfs", "fdescfs", "tmpfs", "linprocfs"])
def test_a_file_system_without_a_source_shows_its_own_name(host: Host, fstype: str) -> None:
    # vfs_mountedfrom() of sys/fs/pseudofs, fdescfs, tmpfs, devfs: whatever fstab(5) calls it.
    host.do(f"mount -t {fstype} any /live/web")
    assert f"{fstype} on /live/web ({fstype}" in host.do("mount")
