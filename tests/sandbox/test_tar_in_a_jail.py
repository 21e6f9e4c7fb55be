"""tar of a jail keeps owners, flags and attributes, which its processes cannot set for real."""

import io
import lzma
import tarfile

import pytest
import zstandard

from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.model.command import Command, Completed

READ = ("tar", "--format", "pax", "--null", "-n", "-T", "-", "-C", "/", "-cf", "-")


@pytest.fixture
def runner(tmp_path):
    runner = SandboxRunner(Machine(tmp_path / "host"))
    for argv in (("zfs", "create", "-o", "mountpoint=/j", "zroot/j"), ("jail", "-c", "name=j", "path=/j", "persist")):
        assert runner.run(Command(argv)).status == 0
    return runner


def inside(runner: SandboxRunner, *argv: str, stdin: bytes = b"") -> Completed:
    return runner.run(Command(("jexec", "j", *argv), stdin=stdin))


def packed(*members: tuple[str, dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, facts in members:
            member = tarfile.TarInfo(name)
            for key, value in facts.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def read(runner: SandboxRunner, *names: bytes) -> dict[str, tarfile.TarInfo]:
    done = inside(runner, "env", "LC_ALL=C.UTF-8", *READ, stdin=b"".join(name + b"\0" for name in names))
    assert done.status == 0, done
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {member.name: member for member in archive}


def test_what_is_unpacked_is_read_back_with_owner_mode_and_flags(runner):
    headers = {"SCHILY.fflags": "schg", "LIBARCHIVE.xattr.user.k": "dg=="}
    put = {"size": 3, "uid": 80, "gid": 81, "mode": 0o4750, "mtime": 7, "pax_headers": headers}
    folder = {"type": tarfile.DIRTYPE, "mode": 0o1777, "uid": 5}
    link = {"type": tarfile.LNKTYPE, "linkname": "d/f"}
    stdin = packed(("d", folder), ("d/f", put), ("d/g", link))
    assert inside(runner, "env", "LC_ALL=C.UTF-8", "tar", "-xpf", "-", "-C", "/", stdin=stdin).status == 0
    found = read(runner, b"./d", b"./d/f", b"./d/g")
    d, f, g = found["./d"], found["./d/f"], found["./d/g"]
    assert (d.mode, d.uid, d.isdir()) == (0o1777, 5, True)
    assert (f.mode, f.uid, f.gid, f.mtime) == (0o4750, 80, 81, 7)
    assert {key: f.pax_headers[key] for key in headers} == headers
    assert (g.islnk(), g.linkname) == (True, "./d/f")


def test_strange_names_are_read_and_folders_are_not_entered(runner):
    root = runner.machine.resolve("/j")
    (root / "d").mkdir()
    for name in (b"d/a\nb", b"d/\xff", b"d/-x"):
        with open(bytes(root) + b"/" + name, "wb"):
            pass
    assert set(read(runner, b"./d")) == {"./d"}
    assert set(read(runner, b"./d/a\nb", b"./d/\xff", b"./d/-x")) == {"./d/a\nb", "./d/\udcff", "./d/-x"}


def test_no_link_of_a_jail_leads_its_tar_out_of_it(runner):
    root = runner.machine.resolve("/j")
    (root / "out").symlink_to("/etc")
    (runner.machine.resolve("/etc") / "secret").write_text("the host's")
    done = inside(runner, "env", "LC_ALL=C.UTF-8", *READ, stdin=b"./out/secret\0")
    assert done.status == 1 and b"the host's" not in done.stdout


@pytest.mark.parametrize("compress", [lzma.compress, zstandard.ZstdCompressor().compress])
def test_several_streams_are_one_archive(runner, compress):
    whole = packed(("a", {"size": 30_000}), ("b", {"size": 30_000}))
    stdin = b"".join(compress(whole[at : at + 20_000]) for at in range(0, len(whole), 20_000))
    assert inside(runner, "tar", "-xpf", "-", "-C", "/", stdin=stdin).status == 0
    assert {name: member.size for name, member in read(runner, b"a", b"b").items()} == {"a": 30_000, "b": 30_000}
