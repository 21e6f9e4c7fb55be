"""`reconcile package` on archives that lie on this machine: what it prints, and how it ends."""

from __future__ import annotations

import hashlib
import json
import lzma
import tarfile
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.model.diagnostic import FetchError
from reconciler.packages.inspect import opened
from reconciler.packages.write import becoming, build_package

from .tars import Item, tar_of
from .tars import folder as folder_item
from .test_signature import keygen
from .trees import CONTENTS, directory, file, manifest, of, symlink

FIRST = of(
    directory("etc"),
    file("etc/gone", b"1"),
    file("etc/x", b"one"),
    *(file(f"usr/{name}", b"same", links="usr/a", flags=("schg",), mode=0o4555) for name in ("a", "b")),
    symlink("\x1b[31mred", "etc/x"),
)
SECOND = of(directory("etc"), file("etc/new", b"2"), file("etc/x", b"other"), file("usr/a", b"same"))


def run(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    status = main(["package", *map(str, argv)])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def archives(tmp_path: Path) -> tuple[Path, Path]:
    one = build_package(tmp_path, manifest(FIRST), lambda e: [CONTENTS[e.sha256]])
    other = manifest(SECOND, version="2.0", patch_levels=(1, None))
    return one.path, build_package(tmp_path, other, lambda e: [CONTENTS[e.sha256]], "zstd").path


def test_a_package_is_shown_without_a_terminal_being_steered(
    archives: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "show", "--files", archives[0])
    assert (status, err) == (0, "")
    assert "package:  nginx 1.28_1,2\nfor:      15.1-RELEASE p1, amd64\n" in out
    assert "-r-sr-xr-x     0     0            4  usr/a [schg]\n" in out and "usr/b is usr/a [schg]\n" in out
    assert "\x1b" not in out and "red -> etc/x" in out
    status, out, _ = run(capsys, "show", "--json", archives[0])
    assert json.loads(out)["name"] == "nginx"


def test_good_packages_are_good(archives: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "verify", *archives)
    assert (status, err, out.count(": good\n"), out.count("not signed")) == (0, "", 2, 2)
    digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
    status, out, _ = run(capsys, "verify", "--json", "--digest", f"sha256:{digest}", archives[0])
    assert status == 0 and json.loads(out)[0]["sha256"] == digest


def test_every_bad_package_is_named(archives: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for archive in archives:
        archive.write_bytes(archive.read_bytes()[:-30])
    status, out, err = run(capsys, "verify", *archives, archives[0].with_name("none"))
    assert (status, out) == (1, "")
    assert err.count("digest-mismatch") == 2 and err.count("package-unreadable") == 1
    assert run(capsys, "verify", "--digest", "0" * 64, *archives)[0] == 64
    for archive in archives:
        archive.with_name(archive.name + ".sha256").unlink()
    status, _, err = run(capsys, "verify", *archives)
    assert status == 1 and err.count("error[") == 2 and "digest" not in err


def test_a_signature_is_made_and_asked_for(
    archives: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keygen(tmp_path)
    (tmp_path / "trusted").write_text("# who builds\n\n" + (tmp_path / "ed25519.pub").read_text())
    assert run(capsys, "verify", "--key", tmp_path / "trusted", archives[0])[0] == 1
    status, out, _ = run(capsys, "sign", "--key", tmp_path / "ed25519", archives[0])
    assert status == 0 and out.startswith(f"{archives[0]}.sig: signs nginx 1.28_1,2, sha256:")
    status, out, _ = run(capsys, "verify", "--key", tmp_path / "trusted", archives[0])
    assert status == 0 and "  signed by SHA256:" in out
    assert "signed, and not checked" in run(capsys, "verify", archives[0])[1]
    assert run(capsys, "verify", "--key", tmp_path / "none", archives[0])[0] == 64


def test_a_difference_is_shown(archives: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "diff", *archives)
    assert status == 2
    assert "version: 1.28_1,2 → 2.0\npatch levels: p1 → p1 and later\n" in out
    assert "- etc/gone  (file)\n+ etc/new  (file)\n~ etc/x  (size 3 → 5)\n" in out
    assert "m usr/a  (mode 4555 → 0644, links usr/a → none, flags schg → none)\n- usr/b  (file)\n" in out
    status, out, _ = run(capsys, "diff", "--json", *archives)
    assert {"sign": "-", "path": "usr/b", "what": "file"} in json.loads(out)["files"]
    assert run(capsys, "diff", archives[0], archives[0])[:2] == (0, "")


def test_a_package_of_the_first_format_is_converted_with_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "e0b1.tar.xz"
    old.write_bytes(lzma.compress(tar_of([folder_item("./"), folder_item("./etc"), Item("./etc/x", data=b"one")])))
    old.with_name("e0b1.tar.xz.sha256").write_text(hashlib.sha256(old.read_bytes()).hexdigest() + "\n")
    words = ("--name", "web", "--version", "1", "--release", "11.0-RELEASE", "--patch-level", "3", "--out", tmp_path)
    status, out, err = run(capsys, "convert", old, *words, "--bare-digest")
    made = tmp_path / "web-1_11.0-RELEASE-p3_amd64.tar.xz"
    assert (status, out.startswith(f"{made}: 2 names, sha256:")) == (0, True)
    assert err.count("warning[package-first-format-says-less]") == 4
    assert len(made.with_name(made.name + ".sha256").read_text()) == 65
    assert [e.path for e in opened(made).manifest.change.entries] == ["etc", "etc/x"]
    assert "first format" in run(capsys, "verify", old)[1]
    assert "package-first-format" in run(capsys, "show", old)[2]
    assert run(capsys, "convert", old, *words, "--compression", "bzip2")[0] == 64
    old.write_bytes(old.read_bytes() + b"x")
    assert "digest-mismatch" in run(capsys, "convert", old, *words)[2]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (Item("../etc/passwd"), "archive-hostile"),
        (Item("dev/null", tarfile.CHRTYPE), "package-unrecordable"),
        (Item("x", pax={"SCHILY.xattr.trusted.x": "1"}), "package-unrecordable"),
        (Item("x", pax={"SCHILY.acl.access": "user::rw-"}), "package-unrecordable"),
        (
            Item(
                "x",
                pax={
                    "GNU.sparse.major": "1",
                    "GNU.sparse.minor": "0",
                    "GNU.sparse.name": "x",
                    "GNU.sparse.realsize": "9999",
                },
                data=b"0\n",
            ),
            "archive-malformed",
        ),
    ],
)
def test_what_cannot_be_converted_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], item: Item, code: str
) -> None:
    old = tmp_path / "old.tar.xz"
    old.write_bytes(lzma.compress(tar_of([item])))
    words = ("--name", "web", "--version", "1", "--release", "11.0-RELEASE", "--patch-level", "3", "--out", tmp_path)
    status, _, err = run(capsys, "convert", old, *words)
    assert status == 1 and code in err
    assert list(tmp_path.iterdir()) == [old]


def test_what_a_killed_run_left_of_an_archive_is_written_over_and_two_do_not_write_it_at_once(tmp_path: Path) -> None:
    made = manifest(SECOND)
    left = tmp_path / f".{made.stem}.tar.xz.partial"
    left.write_bytes(b"half" * 100_000)
    path = build_package(tmp_path, made, lambda e: [CONTENTS[e.sha256]]).path
    assert opened(path).manifest == made
    assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, f"{path.name}.sha256"]
    with becoming(path), pytest.raises(FetchError, match="package-unwritable"):
        build_package(tmp_path, made, lambda e: [CONTENTS[e.sha256]])
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    left.symlink_to(outside)
    with pytest.raises(FetchError, match="package-unwritable"):
        build_package(tmp_path, made, lambda e: [CONTENTS[e.sha256]])
    assert outside.read_bytes() == b"mine"
