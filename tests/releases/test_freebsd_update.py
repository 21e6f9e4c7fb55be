"""What freebsd-update(8) is told and how its answers are read: tables."""

from __future__ import annotations

import pytest

from reconciler.hosts.freebsd import update
from reconciler.model.command import Completed
from reconciler.model.diagnostic import HostError
from reconciler.releases import freebsd_update
from reconciler.releases.tag import Updates

KEY = "800651ef4b4c71c27e60786d7b487188970f4b4169cc055784e21eb71d410cc5"
END = b"WARNING: 15.0-RELEASE-p3 HAS PASSED ITS END-OF-LIFE DATE.\nAny security issues discovered after ...\n"
MODIFIED = b"""Inspecting system... done.
The following files are affected by updates. No changes have
been downloaded, however, because the files have been modified
locally:
/etc/rc.conf.d/one
/etc/a file
The following files will be updated as part of updating to
15.1-RELEASE-p3:
/bin/freebsd-version
"""


def test_the_command_lines_are_these() -> None:
    asked = ("/r/build/1", "/r/build/1.work/update", "/r/build/1.work/update/freebsd-update.conf", "15.1-RELEASE-p1")
    common = (
        "freebsd-update -b /r/build/1 -d /r/build/1.work/update -f /r/build/1.work/update/freebsd-update.conf "
        "--currently-running 15.1-RELEASE-p1 --not-running-from-cron"
    )
    assert " ".join(update.fetch(*asked)) == f"{common} fetch"
    assert " ".join(update.ready(*asked)) == f"{common} updatesready"


def test_the_install_script_is_this() -> None:
    assert (
        freebsd_update.install_script()
        == """\
set -eu
base=$1 release=$2
kernel=$(sysctl -n kern.bootfile)
kernel=${kernel%/*}
made=
[ -d "$kernel" ] || { mkdir -p "$kernel"; made=yes; }
mkdir -p "${base%/*}"
[ ! -L "$base" ] || rm -f "$base"
ln -s / "$base"
status=0
env PAGER=cat freebsd-update -b "$base" -d /var/db/freebsd-update -f /var/db/freebsd-update/freebsd-update.conf \\
    --currently-running "$release" --not-running-from-cron install || status=$?
rm -f "$base"
rmdir -p "${base%/*}" 2>/dev/null || :
[ -z "$made" ] || rmdir -p "$kernel" 2>/dev/null || :
exit $status
"""
    )


def test_the_configuration_is_ours_alone() -> None:
    assert (
        freebsd_update.config(Updates(), ("base", "lib32"))
        == f"""\
KeyPrint {KEY}
ServerName update.FreeBSD.org
Components world/base world/lib32
StrictComponents yes
UpdateIfUnmodified /etc/ /var/ /root/ /.cshrc /.profile
MergeChanges /etc/
AllowAdd yes
AllowDelete yes
KeepModifiedMetadata yes
BackupKernel no
CreateBootEnv no
"""
    )


@pytest.mark.parametrize(
    "server",
    ["https://update.FreeBSD.org", "http://u.example:8080", "http://u.example/x", "http://a@u.example", "http://"],
)
def test_a_server_that_cannot_be_said_is_refused(server: str) -> None:
    with pytest.raises(HostError) as refused:
        freebsd_update.config(Updates(server))
    assert refused.value.diagnostics[0].code == "update-server-unusable"


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_key_can_be_said(count: int) -> None:
    with pytest.raises(HostError) as refused:
        freebsd_update.config(Updates(key_prints=(KEY,) * count))
    assert refused.value.diagnostics[0].code == "update-server-unusable"


@pytest.mark.parametrize(
    ("status", "out", "says"),
    [
        (0, b"", freebsd_update.Fetched()),
        (0, MODIFIED, freebsd_update.Fetched(skipped=("/etc/rc.conf.d/one", "/etc/a file"))),
        (1, END, freebsd_update.Fetched(end_of_life=True)),
        (0, END, freebsd_update.Fetched(end_of_life=True)),
        (1, b"No mirrors remaining, giving up.\n", None),
        (127, b"freebsd-update: not found\n", None),
        (2, END, None),
        (137, b"", None),
    ],
)
def test_how_a_fetch_ended(status: int, out: bytes, says: freebsd_update.Fetched | None) -> None:
    done = Completed(("freebsd-update",), status, out)
    if says is not None:
        assert freebsd_update.fetched(done) == says
        return
    with pytest.raises(HostError) as failed:
        freebsd_update.fetched(done)
    assert failed.value.diagnostics[0].code == "update-fetch-failed"


def test_a_base_of_packages_is_named() -> None:
    said = b"freebsd-update is incompatible with the use of packaged base.  Please see ...\n"
    with pytest.raises(HostError) as failed:
        freebsd_update.fetched(Completed(("freebsd-update",), 1, said))
    assert failed.value.diagnostics[0].code == "pkgbase-unavailable"


@pytest.mark.parametrize(("status", "answer"), [(0, True), (2, False), (1, None), (127, None)])
def test_whether_something_is_ready(status: int, answer: bool | None) -> None:
    done = Completed(("freebsd-update",), status)
    if answer is None:
        with pytest.raises(HostError):
            freebsd_update.ready(done)
    else:
        assert freebsd_update.ready(done) is answer


@pytest.mark.parametrize("status", [1, 2, 127])
def test_an_install_that_did_nothing_failed(status: int) -> None:
    with pytest.raises(HostError) as failed:
        freebsd_update.installed(Completed(("freebsd-update",), status, b"No updates are available to install.\n"))
    assert failed.value.diagnostics[0].code == "update-install-failed"
