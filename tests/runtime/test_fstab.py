"""fstab: the pointer comes first, parents before what is below them, every path whole."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from reconciler.hosts.sandbox import fstab as reader
from reconciler.runtime import files, mountpoints, pointer
from reconciler.runtime.fstab import for_zfs
from reconciler.runtime.quote import fstab as escaped
from reconciler.spec.document import Jail
from tests.runtime.jails import FULL, jail, jails, runtime

TEXT = """\
zroot/reconciler/jails/web/5 /reconciler/live/web zfs rw 0 0
devfs /reconciler/live/web/dev devfs rw,ruleset=5 0 0
fdesc /reconciler/live/web/dev/fd fdescfs rw 0 0
tmpfs /reconciler/live/web/run/secrets tmpfs rw,mode=0755,size=16m,noexec,nosuid 0 0
zroot/reconciler/volumes/web/www /reconciler/live/web/usr/local/www zfs rw,nosuid,nosetuid 0 0
/data/my\\040files\\0431 /reconciler/live/web/usr/local/www/x\\040y nullfs ro 0 0
fast/reconciler/volumes/web/log /reconciler/live/web/var/log zfs rw,noexec,nosuid,nosetuid 0 0
"""


def test_the_fstab_of_a_full_jail_is_this() -> None:
    assert files(runtime(FULL))["fstab"][1] == TEXT


@pytest.mark.parametrize(
    ("options", "shown"),
    [("rw", "rw"), ("ro,noexec", "ro,noexec"), ("nosuid,ro", "nosuid,ro,nosetuid"), ("nosetuid", "nosetuid")],
)
def test_zfs_is_told_nosuid_by_its_own_word(options: str, shown: str) -> None:
    # OpenZFS, module/os/freebsd/zfs/zfs_vfsops.c: zfs_register_callbacks asks for "nosetuid" alone.
    assert for_zfs(options) == shown


def test_a_zfs_mount_of_the_spec_is_told_too() -> None:
    mounts = [{"device": "tank/data", "mountpoint": "/data", "type": "zfs", "options": "ro,nosuid"}]
    line = files(runtime(jail(mounts=mounts)))["fstab"][1].splitlines()[-1]
    assert line == "tank/data /reconciler/live/web/data zfs ro,nosuid,nosetuid 0 0"


def test_the_first_line_points_at_the_live_root() -> None:
    assert pointer(TEXT) == "zroot/reconciler/jails/web/5"
    assert pointer("") == "" and pointer("/dev/ada0p2 / ufs rw 1 1\n") == ""


def test_the_folders_a_root_must_have_are_named_parents_first() -> None:
    assert mountpoints(FULL) == ("/dev", "/dev/fd", "/run/secrets", "/usr/local/www", "/usr/local/www/x y", "/var/log")


def test_a_read_only_volume_that_may_run_programs_as_root_says_so() -> None:
    volume = {"name": "v", "mountpoint": "/v", "read_only": True, "setuid": True}
    line = files(runtime(jail(volumes=[volume])))["fstab"][1].splitlines()[-1]
    assert line == "zroot/reconciler/volumes/web/v /reconciler/live/web/v zfs ro 0 0"


@given(jails())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_fstab_reads_back_and_mounts_parents_first(spec: Jail) -> None:
    lines = reader.read(files(runtime(spec))["fstab"][1])
    live = f"/reconciler/live/{spec.name}"
    wanted = {live + "/dev", live, *(live + m.mountpoint for m in (*spec.volumes, *spec.mounts))}
    wanted |= {live + "/run/secrets"} if spec.secrets else set()
    targets = [line.target for line in lines]
    assert set(targets) == wanted and len(targets) == len(wanted)
    assert {m.device for m in spec.mounts} <= {line.source for line in lines}
    for index, target in enumerate(targets):
        assert not any(target.startswith(later + "/") for later in targets[index:])


@pytest.mark.parametrize("bad", ["", "a\nb", "a\0"])
def test_what_would_break_a_line_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="fstab field"):
        escaped(bad)
