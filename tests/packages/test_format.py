"""A package of format 2 is one row of bytes for one manifest and content, and any other is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.diagnostic import FetchError
from reconciler.packages import compress
from reconciler.packages.archive import PACKAGE, check_archive
from reconciler.packages.capture import capture
from reconciler.packages.compress import Compression
from reconciler.packages.delta import delta
from reconciler.packages.judge import judge
from reconciler.packages.manifest import parse, serialize
from reconciler.packages.read import check_package, payload
from reconciler.packages.tree import Entry
from reconciler.packages.write import build_package

from .trees import CONTENTS, both, directory, examples, file, manifest, of, package, pairs, symlink

Pair = tuple[dict[str, Entry], dict[str, Entry]]
BOTH: tuple[Compression, ...] = ("xz", "zstd")
SMALL = of(
    directory("etc"),
    file("etc/empty", b""),
    file("etc/x", b"text", flags=("schg",), mode=0o4755, xattrs=(("user.a", b"\0"),)),
    Entry("run", "fifo", 0o600),
    symlink("sys", "usr/src/sys"),
    *(file(f"usr/{name}", b"same", links="usr/one") for name in ("one", "two")),
)


@given(pairs())
@examples(25)
def test_what_is_packed_is_what_is_read(pair: Pair) -> None:
    change = delta(*pair)
    try:
        judge(manifest(change))
    except FetchError:  # names that are the same but for case, links that lead out: random trees have those
        return
    data = package(change, "zstd")
    found, taken = both(data)
    assert found is not None and found.manifest == manifest(change)
    assert taken == {e.path: CONTENTS[e.sha256] for e in change.entries if e.has_content and e.size}
    assert data == package(change, "zstd")


@given(pairs())
@examples(25)
def test_any_tar_reader_finds_the_same_in_it(pair: Pair) -> None:
    """Checked by two readers that know nothing of the format: ours for strange archives, and Python's."""
    change = delta(*pair)
    try:
        data = package(change, "zstd")
    except FetchError:
        return
    found, _ = both(data)
    assert found is not None
    whole = b"".join(_expanded(data))
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        sizes = [member.size for member in tar]
    assert sizes[1:] == [e.size if e.has_content else 0 for e in change.entries]
    tail = b"".join(_expanded(data[found.payload_at :]))
    read = capture([tail]).tree
    assert read == {e.path: replace(e, flags=read[e.path].flags) for e in change.entries}
    assert check_archive(io.BytesIO(data), PACKAGE).members == len(change.entries) + 1


def _expanded(data: bytes) -> Iterable[bytes]:
    from reconciler.packages.compression import expand

    return expand(io.BytesIO(data))[1]


@pytest.mark.parametrize("compression", BOTH)
def test_the_same_bytes_whatever_the_number_of_processors(
    compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compress, "PIECE", 20_000)
    change = of(*(file(f"f{number}", bytes(range(256)) * 300 + b"%d" % number) for number in range(5)))
    made = []
    for count in (1, 2, 7):
        monkeypatch.setattr(compress, "threads", lambda count=count: count)
        made.append(package(change, compression))
    assert len(set(made)) == 1
    found, taken = both(made[0])
    assert found is not None and set(taken) == {e.path for e in change.entries}


@pytest.mark.parametrize("compression", BOTH)
def test_a_manifest_of_more_than_a_piece_is_one_stream_all_the_same(
    compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compress, "PIECE", 1000)
    change = of(*(file(f"f{number}", b"%d" % number) for number in range(30)))
    found, taken = both(package(change, compression))
    assert found is not None and set(taken) == {e.path for e in change.entries}


def test_a_manifest_that_nobody_would_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.packages.manifest.MAX_BYTES", 500)
    with pytest.raises(FetchError, match="archive-too-large"):
        build_package(tmp_path, manifest(SMALL), lambda e: [CONTENTS[e.sha256]])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", BOTH)
def test_a_package_is_built_with_its_digest_beside_it(tmp_path: Path, compression: Compression) -> None:
    built = build_package(tmp_path, manifest(SMALL), lambda e: [CONTENTS[e.sha256]], compression)
    name = "nginx-1.28_1,2_15.1-RELEASE-p1_amd64" + compress.SUFFIX[compression]
    assert sorted(p.name for p in tmp_path.iterdir()) == [name, f"{name}.sha256"]
    assert (tmp_path / f"{name}.sha256").read_text() == f"{built.sha256}  {name}\n"
    found = check_package(built.path)
    assert found is not None and found.manifest == manifest(SMALL)
    assert b"".join(payload(built.path, built.sha256, found)) == built.path.read_bytes()[found.payload_at :]
    again = build_package(tmp_path, manifest(SMALL), lambda e: [CONTENTS[e.sha256]], compression, bare=True)
    assert again == built and (tmp_path / f"{name}.sha256").read_text() == f"{built.sha256}\n"


@pytest.mark.parametrize("compression", BOTH)
def test_what_tar_of_this_machine_unpacks_is_what_was_packed(tmp_path: Path, compression: Compression) -> None:
    mine = {"uid": os.getuid(), "gid": os.getgid()}
    tree = [replace(entry, flags=(), xattrs=(), **mine) for entry in SMALL.entries]
    change = of(*tree, replace(file("x" * 200 + "/é", mode=0o600), **mine))
    built = build_package(tmp_path, manifest(change), lambda e: [CONTENTS[e.sha256]], compression)
    found, there = check_package(built.path), tmp_path / "there"
    there.mkdir()
    assert found is not None
    rest = tmp_path / f"rest{compress.SUFFIX[compression]}"
    rest.write_bytes(b"".join(payload(built.path, built.sha256, found)))
    subprocess.run(["tar", "-xpf", str(rest), "-C", str(there)], check=True, timeout=60)
    done = subprocess.run(
        ["tar", "--format", "pax", "-C", str(there), "-cf", "-", "."], check=True, timeout=60, capture_output=True
    )
    implied = {path: entry for path, entry in capture([done.stdout]).tree.items() if path not in ("usr", "x" * 200)}
    assert implied == {e.path: replace(e, mode=implied[e.path].mode if e.target else e.mode) for e in change.entries}


def test_a_manifest_that_compresses_badly_is_read() -> None:
    """zstd gives nothing back before it has a whole block."""
    change = of(*(file(f"f{number}", b"%d" % number) for number in range(200)))
    found, taken = both(package(change, "zstd"))
    assert found is not None and len(taken) == 200


def test_a_file_that_changes_while_it_is_packed_leaves_no_package(tmp_path: Path) -> None:
    for wrong in ([b"more than before"], [b"tex"], [b"TEXT"]):
        with pytest.raises(FetchError, match="package-changed"):
            build_package(tmp_path, manifest(of(file("x", b"text"))), lambda _e, wrong=wrong: wrong)
    assert list(tmp_path.iterdir()) == []


@given(pairs())
@examples(25)
def test_a_manifest_has_one_text(pair: Pair) -> None:
    made = manifest(delta(*pair), patch_levels=(1, None))
    text = serialize(made)
    assert parse(text) == made and serialize(parse(text)) == text


@given(st.data())
@examples(40)
def test_a_damaged_package_is_refused_or_the_same(data: st.DataObject) -> None:
    whole = bytearray(SAMPLE)
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from((len(whole), at)))
    with suppress(FetchError):
        found, taken = both(bytes(whole[:cut]))
        assert found is None or (found.manifest, taken) == (manifest(SMALL), both(SAMPLE)[1])


SAMPLE = package(SMALL, "zstd")
TEXT = json.loads(serialize(manifest(SMALL)))


def edited(**fields: object) -> bytes:
    """The text of a manifest with other fields."""
    return json.dumps(TEXT | fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_the_edited_text_is_good_before_it_is_edited() -> None:
    assert parse(edited()) == manifest(SMALL)


FILE = {"path": "x", "type": "file", "mode": "0644", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]\n", b"null\n", b"{}\n", b"\xff", edited()[:-1], edited() + b"\n", b"[" * 5000,
        edited().replace(b'"name":"nginx"', b'"name":"nginx","name":"nginx"'),
        edited().replace(b",", b", "),
        edited(more=1), edited(name=1), edited(name=""), edited(name="../x"), edited(name="a/b"), edited(name="x\n"),
        edited(version=""), edited(version="1/2"), edited(release="15.1"), edited(release="15.1-RELEASE\n"),
        edited(arch="AMD64"), edited(abi="\0"), edited(base="x" * 201), edited(creator="\x1b[31m"),
        edited(patch_levels=[1]), edited(patch_levels=[2, 1]), edited(patch_levels=[True, 1]),
        edited(patch_levels=[-1, 1]), edited(patch_levels=[1.0, 1]), edited(patch_levels=None),
        edited(files={}), edited(deletions={}), edited(deletions=[1]), edited(deletions=["b", "a"]),
        edited(deletions=["a", "a"]), edited(deletions=[""]), edited(deletions=["a\0"]),
        edited(deletions=["\ud800"]), edited(deletions=["\udcc3\udca9"]),
        edited(files=[1]), edited(files=[{"path": "x"}]), edited(files=[FILE | {"path": ""}]),
        edited(files=[FILE, FILE]), edited(files=[FILE | {"path": "b"}, FILE | {"path": "a"}]),
        edited(files=[FILE | {"mode": "644"}]), edited(files=[FILE | {"mode": "00644"}]),
        edited(files=[FILE | {"mode": 420}]), edited(files=[FILE | {"type": "socket"}]),
        edited(files=[FILE | {"type": "device"}]), edited(files=[FILE | {"type": ["file"]}]),
        edited(files=[FILE | {"size": -1}]), edited(files=[FILE | {"size": 1 << 50}]),
        edited(files=[FILE | {"size": True}]), edited(files=[FILE | {"size": 0}]),
        edited(files=[FILE | {"uid": 1 << 32}]),
        edited(files=[FILE | {"gid": 1.5}]), edited(files=[FILE | {"mtime": "1"}]),
        edited(files=[FILE | {"sha256": "0" * 63}]), edited(files=[FILE | {"sha256": "A" * 64}]),
        edited(files=[FILE | {"target": "x"}]), edited(files=[FILE | {"links": "x"}]),
        edited(files=[FILE | {"links": "y"}]), edited(files=[FILE | {"flags": ["schg", "schg"]}]),
        edited(files=[FILE | {"flags": ["immortal"]}]), edited(files=[FILE | {"flags": "schg"}]),
        edited(files=[FILE | {"xattrs": {"user.x": "!"}}]), edited(files=[FILE | {"xattrs": {"trusted.x": ""}}]),
        edited(files=[FILE | {"xattrs": {"user.a=b": ""}}]), edited(files=[FILE | {"xattrs": {"user.x": "YR=="}}]),
        edited(files=[FILE | {"xattrs": {"user.x": 1}}]), edited(files=[FILE | {"xattrs": {}}]),
        edited(files=[FILE | {"acl": "\x1b"}]), edited(files=[FILE | {"other": 1}]),
        edited(files=[FILE | {"path": "a", "links": "a"}, FILE | {"path": "b", "links": "a", "mode": "0600"}]),
        edited(files=[FILE | {"path": "a", "links": "a"}, FILE | {"path": "b", "links": "a", "sha256": "1" * 64}]),
        edited(files=[{"path": "l", "type": "symlink", "mode": "0755"}]),
        edited(files=[{"path": "d", "type": "directory", "mode": "0755", "size": 1}]),
    ],
)  # fmt: skip
def test_a_text_that_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(FetchError) as caught:
        parse(text)
    assert caught.value.diagnostics[0].code in ("package-malformed", "package-format")
    assert caught.value.diagnostics[0].detail.isprintable()
