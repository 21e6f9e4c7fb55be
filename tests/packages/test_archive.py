"""An archive is unpacked by a host only when no member of it can leave its place."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import FetchError
from reconciler.packages.archive import PACKAGE, SET, Limits, Summary, check_archive

from .tars import END, Item, folder, hard, header, link, padded, tar_of

SMALL = Limits(members=8, content=10_000, stream=50_000, fifos=True)
GOOD = [
    folder("./"),
    folder("./bin"),
    Item("./bin/test", data=b"x" * 700),
    hard("./bin/[", "./bin/test"),
    link("./sys", "usr/src/sys"),
    link("./etc/termcap", "/usr/share/misc/termcap"),
    link("./usr/lib/libc.so", "../../lib/libc.so.7"),
    Item("usr/local/share/" + "é" * 90, data=b"y"),
    Item("./.profile"),
]


def check(data: bytes, limits: Limits = PACKAGE, capture: tuple[str, ...] = ()) -> Summary:
    return check_archive(io.BytesIO(data), limits, capture)


def code_of(data: bytes, limits: Limits = PACKAGE) -> str:
    with pytest.raises(FetchError) as caught:
        check(data, limits)
    assert caught.value.diagnostics[0].detail.isprintable()
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(
    ("compress", "name"),
    [
        (bytes, "none"),
        (lzma.compress, "xz"),
        (gzip.compress, "gzip"),
        (lambda d: lzma.compress(d[:700]) + lzma.compress(d[700:]) + bytes(8), "xz"),
        (lambda d: gzip.compress(d[:700]) + gzip.compress(d[700:]), "gzip"),
    ],
)
def test_a_good_archive_is_counted_in_any_form(form: int, compress: Callable[[bytes], bytes], name: str) -> None:
    summary = check(compress(tar_of(GOOD, form)), SET, ("bin/test", "nowhere"))
    assert (summary.members, summary.content, summary.compression) == (len(GOOD), 701, name)
    assert dict(summary.captured) == {"bin/test": b"x" * 700}


EVIL: list[list[Item]] = [
    [Item("/etc/passwd")],
    [Item("../etc/passwd")],
    [Item("a/../../etc/passwd")],
    [Item("a/..")],
    [Item("./..")],
    [link("a", "/etc"), Item("a/passwd")],
    [link("a", "b"), folder("b"), Item("a/passwd")],
    [link("a", "/"), folder("a/b/c")],
    [link("a", "/etc/passwd"), Item("a")],
    [link("a", "/etc"), folder("a")],
    [folder("a"), link("a", "/etc")],
    [folder("a/b"), link("a", "/etc")],
    [link("a", "/etc"), hard("b", "a"), Item("b/passwd")],
    [hard("a", "/etc/passwd")],
    [hard("a", "../etc/passwd")],
    [hard("a", "missing")],
    [folder("d"), hard("a", "d")],
    [link("a", "../etc")],
    [link("d/a", "../../etc")],
    [link("a", "b/../../etc")],
    [link("a", "x" * 2000)],
    [Item("a"), hard("a", "a")],
    [Item("a"), hard("b", "a"), hard("b", "./a")],
    [link("a", "b"), link("a", "b")],
    [Item("a"), Item("a/b")],
    [Item("a", tarfile.FIFOTYPE), Item("a/b")],
    [Item("a", tarfile.CHRTYPE)],
    [Item("a", tarfile.BLKTYPE)],
    [link("./", "/etc")],
    [Item("x" * 256)],
    [Item("a/" * 200 + "b")],
    [Item("a/" * 600 + "b")],
    [],
]


@pytest.mark.parametrize("items", EVIL)
def test_what_could_leave_its_place_is_refused(items: list[Item]) -> None:
    assert code_of(tar_of(items)) == "archive-hostile"
    assert code_of(lzma.compress(tar_of([*GOOD, *items])) if items else tar_of([])) == "archive-hostile"


def test_of_a_file_that_comes_twice_the_last_one_counts() -> None:
    twice = tar_of([Item("./bin/x", data=b"old"), Item("bin/x", data=b"new")])
    assert check(twice, SET, ("bin/x",)).captured == {"bin/x": b"new"}


def test_named_pipes_are_for_packages_only() -> None:
    pipe = tar_of([Item("var/run/pipe", tarfile.FIFOTYPE)])
    assert check(pipe, PACKAGE).members == 1
    assert code_of(pipe, SET) == "archive-hostile"


@pytest.mark.parametrize(
    "data",
    [
        tar_of([Item(f"f{i}") for i in range(9)]),
        tar_of([Item("a/b/c/d/e/f/g/h/i")]),
        tar_of([Item("a", data=bytes(6000)), Item("b", data=bytes(6000))]),
        lzma.compress(bytes(100_000)),
        lzma.compress(tar_of(GOOD[:3]) + bytes(100_000)),
        gzip.compress(tar_of([Item("a", data=bytes(60_000))])),
        tar_of([Item("a", pax={"SCHILY.realsize": "99999"})]),
        tar_of([Item("a", pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a",
                               "GNU.sparse.realsize": str(1 << 40)})]),
    ],
)  # fmt: skip
def test_what_is_past_the_bounds_is_refused(data: bytes) -> None:
    assert code_of(data, SMALL) in ("archive-too-large", "archive-malformed" if data[:2] == b"\xfd7" else "")


def test_a_bomb_is_refused_long_before_it_is_expanded() -> None:
    bomb = lzma.compress(bytes(40 * 1024 * 1024), preset=0)
    member = header(b"a", size=(1 << 33) - 1)
    assert code_of(lzma.compress(member) + bomb, Limits(content=1 << 40, stream=10_000_000)) == "archive-too-large"


def test_an_xz_that_asks_for_too_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 * 1024 * 1024, "mode": lzma.MODE_FAST, "nice_len": 32,
                "mf": lzma.MF_HC3, "depth": 1}]  # fmt: skip
    # Only the header is needed: the filter's dictionary size stands in it.
    good = bytearray(lzma.compress(tar_of(GOOD), filters=[{**filters[0], "dict_size": 1 << 20}]))
    at = good.index(b"\x21\x01", 12) + 2
    good[at] = 36
    size = (good[12] + 1) * 4
    good[12 + size - 4 : 12 + size] = zlib.crc32(good[12 : 12 + size - 4]).to_bytes(4, "little")
    assert code_of(bytes(good)) == "archive-malformed"


BODY = header(b"a")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(100),
        BODY,
        BODY + END[:512] + BODY + END,
        BODY + END + b"x",
        b"x" * 512 + END,
        header(b"a", b"S") + END,
        header(b"a", b"D") + END,
        header(b"a", b"V") + END,
        header(b"a", b"1", size=5) + padded(b"12345") + END,
        header(b"a", b"5", size=5) + padded(b"12345") + END,
        header(b"a", magic=b"\0" * 8) + END,
        header(b"a", magic=b"ustar\0\0\0") + END,
        header(b"x", b"g", 15) + padded(b"15 path=/etc/x\n") + BODY + END,
        header(b"x", b"x", 9) + padded(b"9 path=b\n") + END,
        header(b"x", b"x", 9) + padded(b"9 path=b\n") + header(b"x", b"x", 9) + padded(b"9 path=c\n") + BODY + END,
        header(b"x", b"x", 18) + padded(b"9 path=b\n9 path=c\n") + BODY + END,
        header(b"x", b"x", 8) + padded(b"8 path=\n") + BODY + END,
        header(b"x", b"x", 11) + padded(b"11 path=a\0b\n") + BODY + END,
        header(b"x", b"x", 9) + padded(b"7 path=b\n") + BODY + END,
        header(b"x", b"x", 9) + padded(b"x path=b\n") + BODY + END,
        header(b"x", b"x", 10) + padded(b"10 size=-1\n") + BODY + END,
        header(b"x", b"x", 2_000_000) + END,
        header(b"x", b"L", 2) + padded(b"b\0") + header(b"x", b"L", 2) + padded(b"c\0") + BODY + END,
        header(b"x", b"L", 2) + padded(b"b\0") + header(b"x", b"x", 9) + padded(b"9 path=c\n") + BODY + END,
        header(b"x", b"L", 4) + padded(b"b\0c\0") + BODY + END,
        BODY[:148] + b"000000\0 " + BODY[156:] + END,
        BODY[:124] + b"zzz" + BODY[127:] + END,
        lzma.compress(BODY + END)[:-8],
        lzma.compress(BODY + END) + b"junk",
        gzip.compress(BODY + END, mtime=0)[:-1],
        gzip.compress(BODY + END, mtime=0) + b"junk",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes) -> None:
    assert code_of(data) == "archive-malformed"


@pytest.mark.parametrize("magic", [b"BZh91AY", b"\x04\x22\x4d\x18"])
def test_another_compression_is_named(magic: bytes) -> None:
    assert code_of(magic + bytes(600)) == "archive-compression"


NAMES = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "", "etc"]), min_size=1, max_size=4).map("/".join)
TARGETS = NAMES | NAMES.map(lambda name: "/" + name)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
ITEMS = st.lists(st.builds(Item, NAMES | TARGETS, KINDS, TARGETS, st.just(b"")), min_size=1, max_size=6)
MILD = st.lists(
    st.builds(
        Item,
        st.sampled_from(["a", "b", "a/b", "a/c", "b/c", "c"]),
        KINDS,
        st.sampled_from(["a", "b", "/", "/etc", "a/b"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None, database=None)
@given(ITEMS | MILD)
def test_an_accepted_archive_never_writes_outside_its_tree(items: list[Item]) -> None:
    data = tar_of(items)
    try:
        check(data)
    except FetchError:
        return
    with tempfile.TemporaryDirectory() as top, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(top, "x", "y", "root")
        root.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extractall(root, filter="fully_trusted")
        outside = [os.path.join(at, name) for at, dirs, files in os.walk(top) for name in (*dirs, *files)]
        assert all(name.startswith(str(root)) or str(root).startswith(name) for name in outside)


@settings(max_examples=60, deadline=None, database=None)
@given(st.data())
def test_a_flipped_byte_or_a_cut_is_read_as_an_archive_or_refused(data: st.DataObject) -> None:
    whole = bytearray(tar_of(GOOD) if data.draw(st.booleans()) else lzma.compress(tar_of(GOOD)))
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[at:]
    else:
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(FetchError):
        assert check(bytes(whole)).members <= len(GOOD)


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.binary(max_size=2000),
    st.sampled_from([b"", b"\xfd7zXZ\x00", b"\x1f\x8b\x08", header(b"x", b"x", 600)]),
)
def test_any_bytes_are_an_archive_or_refused(data: bytes, start: bytes) -> None:
    with pytest.raises(FetchError):
        check(start + data)
