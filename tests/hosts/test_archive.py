"""Files found in what tar(1) writes, without reading their content."""

import io
import subprocess
import tarfile

import pytest

from reconciler.hosts.freebsd import archive
from reconciler.hosts.freebsd.run import LocalRunner

LONG = "d" * 90 + "/" + "e" * 90 + "/" + "f" * 120


def made(layout: int, *members: tuple[str, bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as tar:
        for name, kind, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.mtime = kind, 1.25
            if kind in {tarfile.LNKTYPE, tarfile.SYMTYPE}:
                member.linkname = data.decode()
            else:
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def content(whole: bytes) -> dict[str, bytes]:
    found = archive.index(lambda offset, size: whole[offset : offset + size], len(whole))
    return {name: whole[part >> 40 : (part >> 40) + (part & (1 << 40) - 1)] for name, part in found.items()}


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_regular_files_are_found_and_nothing_else(layout):
    whole = made(
        layout,
        ("./jails", tarfile.DIRTYPE, b""),
        ("./jails/web/fstab", tarfile.REGTYPE, b"x" * 1000),
        ("./jails/web/empty", tarfile.REGTYPE, b""),
        ("./jails/web/link", tarfile.SYMTYPE, b"/etc/passwd"),
        ("./jails/web/again", tarfile.LNKTYPE, b"./jails/web/fstab"),
        ("./jails/web/fifo", tarfile.FIFOTYPE, b""),
        ("./jails/web/last", tarfile.REGTYPE, b"end"),
    )
    assert content(whole) == {
        "jails/web/fstab": b"x" * 1000,
        "jails/web/empty": b"",
        "jails/web/again": b"x" * 1000,
        "jails/web/last": b"end",
    }


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", [LONG, "jails/é x", "a" * 100, "b" * 101])
def test_names_of_any_length_and_letters_are_found(layout, name):
    assert content(made(layout, (name, tarfile.REGTYPE, b"1"), ("z", tarfile.REGTYPE, b"2"))) == {name: b"1", "z": b"2"}


@pytest.mark.parametrize("spoil", [lambda w: w[:9728], lambda w: b"?" + w[1:257] + b"?" * 5 + w[262:], lambda _: b""])
def test_what_is_cut_short_or_strange_is_unreadable(spoil):
    whole = made(tarfile.USTAR_FORMAT, ("f", tarfile.REGTYPE, b"x" * 9000))
    with pytest.raises(archive.Unreadable):
        content(spoil(whole))


def test_folders_are_read_by_one_command_and_without_logs(tmp_path):
    for name in ("one/a", "one/b/c", "two/d", "one/console.log", "one/b/console.log.0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "one/link").symlink_to("/etc/passwd")
    one, two = f"{tmp_path}/one", f"{tmp_path}/two"
    runner = LocalRunner()
    _, trees = runner.gather([], [one, two, f"{tmp_path}/none"])
    assert {name: dict(files) for name, files in trees.items()} == {
        one: {"a": b"one/a", "b/c": b"one/b/c"},
        two: {"d": b"two/d"},
        f"{tmp_path}/none": {},
    }
    assert trees[one] == runner.tree(one)
    assert runner.gather([], [one])[1][one].digest == runner.gather([], [one])[1][one].digest


def test_what_the_tar_of_this_machine_writes_is_understood(tmp_path):
    (tmp_path / ("n" * 200)).write_bytes(b"long")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "é x").write_bytes(b"x" * 2000)
    whole = subprocess.run(archive.argv([str(tmp_path)], "console.log"), check=True, capture_output=True).stdout
    found = archive.below(str(tmp_path), archive.index(lambda o, n: whole[o : o + n], len(whole)))
    assert set(found) == {"n" * 200, "sub/é x"}
