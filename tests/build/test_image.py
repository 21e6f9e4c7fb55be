"""FROM: an AppJail image, described by an ajspec, is checked, unpacked inside a build jail, and a layer of its own."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from reconciler.build.image import jail_files
from reconciler.cli.garbage import packages
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import compile_makejail
from reconciler.model.diagnostic import SpecError
from tests.build.test_layers import WEB, build_jails, inside, makejail
from tests.fleet import Fleet, problems

FROM = "FROM --entrypoint file+nginx.ajspec nginx:${tag}"


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def packed(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:xz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


IMAGE = (
    member("./jail", type=tarfile.DIRTYPE, mode=0o755),
    member("./jail/usr/local/made", b"of an image\n"),
    member("./jail/usr/local/again", type=tarfile.LNKTYPE, linkname="./jail/usr/local/made"),
    member("./jail/bin", type=tarfile.SYMTYPE, linkname="/.appjail/bin"),
    member("./jail/dev/null", type=tarfile.CHRTYPE),
    member("./init", b"#!/bin/sh\n"),
    member("./conf/config.conf", b"jail_type: thin\n"),
    member("../jail/outside", b"x"),
)


def image(fleet: Fleet, data: bytes, sha256: str = "") -> None:
    """The archive and its description beside the Makejail."""
    (fleet.specs / "nginx.appjail").write_bytes(data)
    (fleet.specs / "nginx.ajspec").write_text(
        f'tags+: 14.3\ntags+: 15.1\n15.1.arch: amd64\n15.1.name: "nginx"\n15.1.size.amd64: {len(data)}\n'
        f"15.1.sum.amd64: {sha256 or hashlib.sha256(data).hexdigest()}\n"
        f'15.1.source.amd64: "file:{fleet.specs}/gone"\n15.1.source.amd64+: "file:{fleet.specs}/nginx.appjail"\n'
    )


def test_an_image_is_a_layer_under_all_others_and_leaves_the_base_as_it_is(fleet: Fleet) -> None:
    fleet.write(WEB)
    image(fleet, packed(*IMAGE))
    makejail(fleet, "ARG tag=15.1", FROM, "CMD cat /usr/local/made /usr/local/again >/root/seen")
    titles = [title.partition("  ")[2] for title in fleet.titles() if ": layer " in title]
    assert titles == ["apply image nginx:15.1", "build segment 1 of 1: CMD"]
    assert problems(fleet.apply()) == [] and fleet.titles() == [] and build_jails(fleet) == []
    assert inside(fleet, "/root/seen") == "of an image\n" * 2
    assert "USERLAND_VERSION" in inside(fleet, "/bin/freebsd-version")
    kept = next(iter(fleet.session().compiled[0].values())).image
    assert kept is not None and packages(fleet.session()) == {}, "gc would take the archive that FROM names"
    assert inside(fleet, "/init") == "" == inside(fleet, "/conf/config.conf") == inside(fleet, "/outside")


def test_another_archive_than_the_description_says_is_not_used(fleet: Fleet) -> None:
    fleet.write(WEB)
    image(fleet, packed(*IMAGE), "0" * 64)
    makejail(fleet, "ARG tag=15.1", FROM)
    said = [one for failed in fleet.apply().failed for one in failed.diagnostics]
    assert "digest-mismatch" in {one.code for one in said}
    assert build_jails(fleet) == []


def test_only_the_jails_own_files_are_taken_whatever_an_archive_holds() -> None:
    found = io.BytesIO(b"".join(jail_files([packed(*IMAGE, mode="w:gz")])))
    with tarfile.open(fileobj=found) as archive:
        assert archive.getnames() == ["./usr/local/made", "./usr/local/again"]


@pytest.mark.parametrize("data", [b"", b"no archive"])
def test_what_is_no_archive_says_so(data: bytes) -> None:
    with pytest.raises(tarfile.TarError):
        list(jail_files([data]))


S = "ab" * 32
DESCRIPTIONS = [  # as the repositories of images have them, and as nobody should
    (f"tags: 3.18-x\n3.18-x.arch: amd64\n3.18-x.sum.amd64: {S}\n3.18-x.source.amd64: \"http://a/b\"\n", ["http://a/b"]),
    ((f"tags+: 1\n\ntags+: 3.18-x\n3.18-x.arch: amd64\n3.18-x.timestamp.amd64: 17\n3.18-x.sum.amd64: {S}\n"
     "3.18-x.source.amd64: \"http://a/b\"\n3.18-x.source.amd64+: http://c/d\n"), ["http://a/b", "http://c/d"]),
    ("  tags :x\n# tags: no\n*tags: 3.18-x\r\n*3.18-x.arch: arm64 amd64\n3.18-x.arch+: riscv64\n"
     + "".join(f"3.18-x.sum.{arch}: {S}\n3.18-x.source.{arch}: u\n" for arch in ("amd64", "arm64", "riscv64")), ["u"]),
    (f"tags: 3.18-x\n3.18-x.arch: amd64\n3.18-x.sum.amd64: {S}\n3.18-x.source.amd64: " + "u " * 99, ["u"] * 16),
    (f"tags: 3.18-x\n3.18-x.arch: amd64\n3.18-x.sum.amd64: {S}\n3.18-x.source.amd64: $(touch /tmp/x) `id` ${{HOME}}\n",
     ["$(touch", "/tmp/x)", "`id`", "${HOME}"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "urls"), DESCRIPTIONS)
def test_a_description_is_read_as_its_keepers_write_it(tmp_path: Path, text: str, urls: list[str]) -> None:
    (tmp_path / "Makejail").write_text("FROM --entrypoint file+a --platform amd64 x:3.18-x\n")
    (tmp_path / "a").write_bytes(text.encode())
    image = compile_makejail("Makejail", LocalFiles(), str(tmp_path)).image
    assert image is not None
    assert (list(image.archives["amd64"].urls), image.archives["amd64"].sha256) == (urls, S)


def test_what_the_keeper_of_an_image_says_is_a_warning_without_control_characters(tmp_path: Path) -> None:
    (tmp_path / "Makejail").write_text("FROM --entrypoint file+a x:1\n")
    (tmp_path / "a").write_text(f'tags: 1\nmaintenance: "wait \x1b[31m{"x" * 999}"\n')
    (said,) = compile_makejail("Makejail", LocalFiles(), str(tmp_path)).warnings
    assert said.code == "image-maintenance"
    assert "\x1b" not in said.detail and len(said.detail) < 400


REFUSED = [
    ("FROM --entrypoint none nginx", "", "instruction-unavailable"),
    ("FROM nginx:15.1", "", "include-method-unavailable"),
    ("FROM --entrypoint file+missing nginx", "", "image-missing"),
    ("VAR t=1\nFROM --entrypoint file+a nginx:$t", "", "image-unknown"),
    ("FROM --entrypoint file+a nginx:16", "tags: 15.1", "image-missing"),
    ("FROM --entrypoint file+a nginx:15.1", "tags: 15.1\n15.1.arch: amd64\n15.1.sum.amd64: 12", "image-malformed"),
    ("FROM --entrypoint file+a nginx:15.1", 'tags: "15.1', "tokenizer"),
    (
        "FROM --entrypoint file+a nginx:15.1",
        "tags: 15.1\n15.1.arch: a\n15.1.sum.a: 12\n15.1.source.a: u",
        "image-malformed",
    ),
    ("FROM --entrypoint file+a nginx:15.1", "tags: 15.1\n" + "#" * (1 << 20), "image-malformed"),
    ("FROM --entrypoint file+a nginx:15.1", "\0\xff{}[]:::+\n" * 9, "image-missing"),
]


@pytest.mark.parametrize(("line", "description", "code"), REFUSED)
def test_a_from_that_cannot_be_done_is_refused_at_its_line(
    tmp_path: Path, line: str, description: str, code: str
) -> None:
    (tmp_path / "Makejail").write_text(f"{line}\n")
    if description:
        (tmp_path / "a").write_text(description)
    with pytest.raises(MakejailError) as caught:
        compile_makejail("Makejail", LocalFiles(), str(tmp_path))
    assert caught.value.diagnostics[0].code == code


def test_an_image_for_another_machine_is_refused(fleet: Fleet) -> None:
    fleet.write(WEB)
    image(fleet, packed(*IMAGE))
    makejail(fleet, FROM.replace("FROM", "FROM --platform aarch64").replace("${tag}", "15.1"))
    with pytest.raises(SpecError) as caught:
        fleet.decide()
    assert [found.code for found in caught.value.diagnostics] == ["image-missing"]
