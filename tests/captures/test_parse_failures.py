"""What failed commands printed, as the codes that operators see."""

import pytest
from captured import answer

from reconciler.hosts.freebsd.failure import failed
from reconciler.model.command import Completed

CASES = [
    ("02-zfs.txt", "zfs create zroot/jails/base", "dataset-exists", 1),
    ("02-zfs.txt", "zfs create zroot/nope/x", "dataset-missing", 0),
    ("02-zfs.txt", "zfs destroy zroot/a", "has-children", 0),
    ("02-zfs.txt", "zfs set bogus=1 zroot/jails/base", "bad-property", 0),
    ("02-zfs.txt", "zfs snapshot zroot/jails/base@s1", "dataset-exists", 1),
    ("02-zfs.txt", "zfs snapshot zroot/missing@s1", "dataset-missing", 0),
    ("02-zfs.txt", "zfs destroy zroot/jails/base@s1", "has-clones", 0),
    ("02-zfs.txt", "zfs destroy zroot/jails/c2@t", "snapshot-held", 0),
    ("02-zfs.txt", "zfs umount zroot/jails/c2", "not-mounted", 1),
    ("04-jail.txt", "jls -j nosuch", "jail-missing", 0),
    ("04-jail.txt", "jail -c path=/jails/j1 name=j1 host.hostname=j1.example persist", "jail-exists", 1),
    ("04-jail.txt", "jail -c name=esf path=/jails/j1 exec.start='/usr/bin/false' persist", "jail-start-failed", 0),
    ("08-mounts.txt", "(cd /tmp/m/t && umount /tmp/m/t)", "mount-busy", 0),
    ("08-mounts.txt", "umount /tmp/m/n", "not-mounted", 1),
    ("08-mounts.txt", "mount -t nosuchfs x /tmp/m/t", "command-failed", 0),
    ("11-sysctl.txt", "rctl -a jail:j1:memoryuse:deny=64M", "racct-disabled", 0),
    ("14-network-limits.txt", "jail -c name=al2 path=/ ip4.addr='lo0|127.0.5.1/32' persist", "address-clash", 0),
    ("14-network-limits.txt", "ifconfig bridge0 destroy", "interface-missing", 1),
    ("14-network-limits.txt", "pfctl -s info", "pf-unavailable", 0),
]


@pytest.mark.parametrize(("file", "command", "code", "nth"), CASES)
def test_a_failure_has_its_code(file, command, code, nth):
    done = answer(file, command, nth=nth)
    tool = "umount" if "umount /" in command else done.argv[0]
    default = "jail-start-failed" if tool == "jail" else "command-failed"
    error = failed(Completed((tool, *done.argv[1:]), done.status, b"", done.stderr), default)
    (diagnostic,) = error.diagnostics
    assert diagnostic.code == code
    assert diagnostic.hint
    assert error.stderr == done.stderr.decode()
    assert error.status == done.status


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("cannot unmount '/mnt': pool or dataset is busy", "dataset-busy"),
        ("cannot create 'a/b': out of space", "no-space"),
        ("cannot open 'lab': pool I/O is currently suspended", "pool-suspended"),
        ("Permission denied the ZFS utilities must be run as root.", "not-permitted"),
    ],
)
def test_a_failure_of_zfs_has_its_code(stderr, code):
    error = failed(Completed(("zfs", "destroy", "a"), 1, b"", stderr.encode()))
    assert error.diagnostics[0].code == code
    assert error.transient is (code == "dataset-busy")


def test_a_program_that_is_not_there_is_named():
    assert failed(Completed(("zfs", "list"), 127)).diagnostics[0].code == "no-zfs"
    assert failed(Completed(("pfctl",), 127)).diagnostics[0].code == "command-missing"


def test_a_failure_tells_the_whole_command_line_its_status_and_what_it_said():
    error = failed(Completed(("mount", "-t", "x"), 3, b"", b"mount: nope\n"))
    assert error.diagnostics[0].detail == "`mount -t x` ended with status 3: mount: nope"
    assert error.argv == ("mount", "-t", "x")
