"""A removed jail holds its root for as long as one of its connections times out."""

import pytest

from reconciler.hosts.freebsd.jail import JailJails
from reconciler.hosts.freebsd.mount import HostMounts
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.model.diagnostic import HostError

BUSY = "umount: unmount of /r/live/web failed: Device busy"


def host(folder, **programs):
    """Programs of the host that note what they were asked, and answer so."""
    for name, text in programs.items():
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/asked\n{text}\n')
        (folder / name).chmod(0o755)
    return LocalRunner(path=[str(folder)])


def jls(*jails):
    rows = ",".join(f'{{"path":"{path}","dying":"{dying}"}}' for path, dying in jails)
    return f"""echo '{{"__version": "2", "jail-information": {{"jail": [{rows}]}}}}'"""


UMOUNT = f'[ "$1" = -f ] || {{ echo "{BUSY}" >&2; exit 1; }}'


def test_what_only_a_dying_jail_uses_is_unmounted(tmp_path):
    runner = host(tmp_path, umount=UMOUNT, jls=jls(("/r/live/web", "true")))
    HostMounts(runner).unmount("/r/live/web")
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "umount -f /r/live/web"


@pytest.mark.parametrize(
    "jails",
    [[], [("/r/live/db", "true")], [("/r/live/web", "false")], [("/r/live/web", "true"), ("/r/live/web", "false")]],
)
def test_what_anything_else_uses_stays(tmp_path, jails):
    runner = host(tmp_path, umount=UMOUNT, jls=jls(*jails))
    with pytest.raises(HostError, match="mount-busy"):
        HostMounts(runner).unmount("/r/live/web")
    assert "umount -f" not in (tmp_path / "asked").read_text()


def test_a_jail_that_is_gone_but_for_its_root_is_released(tmp_path):
    (tmp_path / "release.sh").write_text(f"echo released >> {tmp_path}/asked\n")
    runner = host(tmp_path, jail=f'echo "{BUSY}" >&2; exit 1', jls="exit 1")
    JailJails(runner).stop(f"{tmp_path}/jail.conf", "web")
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "released"


@pytest.mark.parametrize(
    "said",
    [
        "jail: web: mount.fstab: /r/live/web/data: not a mount point",
        "ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address\njail: web: /sbin/ifconfig ... -alias: failed",
    ],
)
def test_a_jail_of_which_a_part_was_gone_before_is_released(tmp_path, said):
    # check_path of usr.sbin/jail/command.c; run_command of the same for addresses.
    (tmp_path / "release.sh").write_text(f"echo released >> {tmp_path}/asked\n")
    (tmp_path / "said").write_text(said)
    runner = host(tmp_path, jail=f"cat {tmp_path}/said >&2; exit 1", jls="exit 1")
    JailJails(runner).stop(f"{tmp_path}/jail.conf", "web")
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "released"


def test_a_jail_that_still_runs_did_not_stop(tmp_path):
    runner = host(tmp_path, jail=f'echo "{BUSY}" >&2; exit 1', jls="echo 7")
    with pytest.raises(HostError, match="jail-stop-failed"):
        JailJails(runner).stop(f"{tmp_path}/jail.conf", "web")
