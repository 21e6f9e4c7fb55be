"""MANIFEST is read strictly: a line is an entry or a diagnostic."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.diagnostic import FetchError
from reconciler.releases.manifest import Manifest, dump, parse

HASH = "ab" * 32
GOOD = (
    f'base.txz\t{HASH}\t31415\tbase\t"Base system (MANDATORY)"\ton\n'
    f'base-dbg.txz\t{"cd" * 32}\t2000\tbase_dbg\t"Base system (Debugging)"\toff\n'
).encode()


def test_a_release_manifest_gives_its_sets() -> None:
    manifest = parse(GOOD)
    base = manifest.find("base")
    assert base is not None
    assert (base.file, base.sha256, base.members, base.default) == ("base.txz", HASH, 31415, True)
    assert [entry.name for entry in manifest.entries] == ["base", "base-dbg"]
    assert manifest.find("lib32") is None
    assert dump(manifest) == GOOD


@pytest.mark.parametrize(
    "line",
    [
        f'base.txz {HASH} 1 base "x" on',
        f'../base.txz\t{HASH}\t1\tbase\t"x"\ton',
        f'/etc/base.txz\t{HASH}\t1\tbase\t"x"\ton',
        f'base.txz\t{HASH[:-1]}\t1\tbase\t"x"\ton',
        f'base.txz\t{HASH.upper()}\t1\tbase\t"x"\ton',
        f'base.txz\t{HASH}\t-1\tbase\t"x"\ton',
        f'base.txz\t{HASH}\t1\tba se\t"x"\ton',
        f'base.txz\t{HASH}\t1\tbase\tx\ton',
        f'base.txz\t{HASH}\t1\tbase\t"x\x1b[2J"\ton',
        f'base.txz\t{HASH}\t1\tbase\t"x"\tyes',
        f'base.txz\t{HASH}\t1\tbase\t"x"\ton\t',
        f'base.txz\t{HASH}\t1\tbase\t"x"\ton\r',
        "",
    ],
)  # fmt: skip
def test_a_malformed_line_is_reported_with_its_number(line: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse(GOOD.replace(b"base.txz", b"src.txz", 1) + line.encode() + b"\n", "http://mirror/MANIFEST")
    found = caught.value.diagnostics[0]
    assert (found.code, str(found.span)) == ("manifest-malformed", "http://mirror/MANIFEST:3")
    assert found.detail.isprintable()


def test_a_set_listed_twice_is_refused() -> None:
    with pytest.raises(FetchError, match="listed twice"):
        parse(GOOD + GOOD)


def test_all_malformed_lines_are_reported_but_not_without_end() -> None:
    with pytest.raises(FetchError) as caught:
        parse(b"x\n" * 60)
    assert len(caught.value.diagnostics) == 10


@pytest.mark.parametrize("data", [b"", GOOD[:-1], b"x\n" * 65, b"x" * 70000 + b"\n"])
def test_a_manifest_out_of_bounds_is_refused(data: bytes) -> None:
    with pytest.raises(FetchError) as caught:
        parse(data)
    assert {d.code for d in caught.value.diagnostics} == {"manifest-malformed"}


@given(st.binary(max_size=400))
def test_any_bytes_give_a_manifest_or_diagnostics(data: bytes) -> None:
    with suppress(FetchError):
        assert dump(parse(data)) == data


@given(st.integers(0, len(GOOD) - 1))
def test_a_manifest_cut_anywhere_has_only_whole_lines(end: int) -> None:
    try:
        manifest: Manifest | None = parse(GOOD[:end])
    except FetchError:
        manifest = None
    assert manifest is None or dump(manifest) == GOOD[:end]
