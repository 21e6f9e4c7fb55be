"""The sandbox's own mirror: FreeBSD's layout, the same bytes each time, packages that serve."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import mirror, processes
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "sandbox")
    root = made.host / "jails" / "web"
    root.mkdir(parents=True)
    data, _ = mirror.base("15.1-RELEASE")
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(data))) as archive:
        archive.extractall(root, filter="tar")
    (made.host / "etc/j.conf").write_text(
        'web { path = /jails/web; mount.devfs; persist; exec.start = "/bin/sh /etc/rc";'
        ' exec.stop = "/bin/sh /etc/rc.shutdown"; exec.consolelog = /var/log/web.log; }'
    )
    (made.host / "var/log").mkdir(parents=True, exist_ok=True)
    assert run(made, "jail", "-f", "/etc/j.conf", "-c", "web").status == 0
    yield made
    processes.kill_everything(made)


def run(machine: Machine, *argv: str) -> Completed:
    return machine.run(Command(argv))


def inside(machine: Machine, *argv: str) -> str:
    return run(machine, "jexec", "web", *argv).stdout.decode()


def test_the_manifest_tells_the_truth_about_base(tmp_path: Path) -> None:
    mirror.build(tmp_path)
    folder = tmp_path / "releases/amd64/amd64/15.1-RELEASE"
    name, digest, members, dist, _text, default = (folder / "MANIFEST").read_text().rstrip("\n").split("\t")
    data = (folder / name).read_bytes()
    assert (hashlib.sha256(data).hexdigest(), dist, default) == (digest, "base", "on")
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(data))) as archive:
        names = archive.getnames()
    assert len(names) == int(members) and all(name == "." or name.startswith("./") for name in names)


def test_base_is_the_same_each_time() -> None:
    assert mirror.base("15.1-RELEASE") == mirror.base("15.1-RELEASE") != mirror.base("14.4-RELEASE")


def test_the_mirror_is_served_over_http(tmp_path: Path) -> None:
    mirror.build(tmp_path)
    url, stop = mirror.serve(tmp_path)
    try:
        with urllib.request.urlopen(f"{url}/releases/amd64/amd64/15.1-RELEASE/MANIFEST", timeout=60) as answer:
            assert answer.read().startswith(b"base.txz\t")
    finally:
        stop()


def test_rc_starts_what_is_enabled(machine: Machine) -> None:
    assert "Starting cron." in (machine.host / "var/log/web.log").read_text()
    assert "cron is running as pid" in inside(machine, "service", "cron", "status")


def test_a_package_is_installed_serves_and_goes(machine: Machine) -> None:
    assert run(machine, "pkg", "-j", "web", "install", "-y", "nginx").status == 0
    assert run(machine, "pkg", "-j", "web", "query", "%n-%v").stdout == b"nginx-1.28.0\npcre2-10.45\n"
    assert inside(machine, "sysrc", "nginx_enable=YES") == "nginx_enable:  -> YES\n"
    assert inside(machine, "service", "nginx", "start") == "Starting nginx.\n"
    assert "Welcome to nginx!" in inside(machine, "fetch", "-qo", "-", "http://127.0.0.1/")
    assert inside(machine, "service", "nginx", "stop") == "Stopping nginx.\n"
    assert run(machine, "jexec", "web", "pkg", "delete", "-y", "nginx").status == 0
    assert run(machine, "jexec", "web", "test", "-e", "/usr/local/sbin/nginx").status == 1


def test_rc_conf_is_edited_in_place(machine: Machine) -> None:
    inside(machine, "sysrc", "list=a b", "x=1")
    inside(machine, "sysrc", "list+=c", "list-=a")
    assert inside(machine, "sysrc", "-n", "list") == "b c\n"
    assert run(machine, "jexec", "web", "sysrc", "-c", "x=2").status == 1
    inside(machine, "sysrc", "-x", "x")
    assert (machine.host / "jails/web/etc/rc.conf").read_text() == 'list="b c"\n'


def test_users_are_added(machine: Machine) -> None:
    inside(machine, "pw", "useradd", "app", "-u", "1500", "-s", "/bin/sh")
    assert inside(machine, "id", "-u", "app") == "1500\n"
