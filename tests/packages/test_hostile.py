"""Packages that mean harm are refused from their manifest, or at the first byte that their manifest does not say."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from reconciler.packages.delta import Delta
from reconciler.packages.layout import END, header
from reconciler.packages.manifest import serialize
from reconciler.packages.tree import Entry

from .trees import assembled, both, code_of, directory, file, manifest, members, of, package, symlink


def told(entries: Iterable[Entry], deletions: Iterable[str] = ()) -> bytes:
    """A package whose manifest and payload agree on these."""
    change = Delta(tuple(entries), tuple(deletions))
    return assembled(serialize(manifest(change)), members(change.entries) + END)


def test_the_builder_of_evil_builds_good_packages_too() -> None:
    change = of(directory("a"), file("a/b", b"x"), symlink("l", "/etc/passwd"))
    assert told(change.entries, ["gone"]) == package(replace(change, deletions=("gone",)))
    assert both(told(change.entries))[1] == {"a/b": b"x"}


EVIL: dict[str, tuple[list[Entry], list[str]]] = {
    "dot dot": ([file("../x")], []),
    "dot dot within": ([file("a/../../x")], []),
    "dot dot at the end": ([directory("a/..")], []),
    "absolute": ([file("/etc/passwd")], []),
    "a dot": ([file("./x")], []),
    "a slash too much": ([file("a//x")], []),
    "a slash at the end": ([directory("a/")], []),
    "through a symlink": ([symlink("a", "/etc"), file("a/passwd")], []),
    "through a relative symlink": ([symlink("a", "b"), file("a/x")], []),
    "below a file": ([file("a"), file("a/x")], []),
    "below a pipe": ([Entry("a", "fifo", 0o600), file("a/x")], []),
    "a symlink that climbs out": ([symlink("a", "../etc")], []),
    "a symlink that climbs out late": ([symlink("a", "b/../../etc")], []),
    "too deep": ([file("/".join("a" * 130))], []),
    "too long": ([file("a" * 256)], []),
    "the root itself as a link": ([symlink(".", "/etc")], []),
    "the root itself as a file": ([file(".")], []),
    "the root itself written otherwise": ([directory("./.")], []),
    "the manifest itself": ([file("+MANIFEST")], []),
    "a deletion that climbs out": ([file("x")], ["../../etc/passwd"]),
    "a deletion that is absolute": ([], ["/etc/passwd"]),
    "a deletion of everything": ([], ["."]),
    "a deletion with a dot": ([], ["./etc"]),
    "a deletion with dots within": ([], ["a/../../b"]),
    "a deletion of the folder of what it brings": ([file("etc/x")], ["etc"]),
    "a deletion of the manifest": ([], ["+MANIFEST"]),
    "a link and a folder but for case": ([symlink("A", "/etc"), directory("a"), file("a/x")], []),
    "a link and a file but for case": ([symlink("A", "/etc/passwd"), file("a")], []),
    "two links but for case": ([symlink("A", "b"), symlink("a", "/etc")], []),
    "a link and a folder but for an accent": ([symlink("e\u0301", "/etc"), file("\u00e9/x")], []),
    "a link and a folder but for a ligature": ([symlink("fi", "/etc"), file("\ufb01/x")], []),
    "a link and a folder but for sharp s": ([symlink("SS", "/etc"), file("\u00df/x")], []),
}


@pytest.mark.parametrize("name", EVIL)
def test_a_manifest_that_would_do_harm_is_refused(name: str) -> None:
    assert code_of(told(*EVIL[name])) == "archive-hostile"


@pytest.mark.parametrize("name", EVIL)
def test_it_cannot_be_made_either(name: str) -> None:
    from reconciler.model.diagnostic import FetchError

    entries, deletions = EVIL[name]
    with pytest.raises(FetchError, match="archive-hostile"):
        package(Delta(tuple(entries), tuple(deletions)))


def test_names_that_differ_in_case_alone_are_fine_where_none_leads_away() -> None:
    change = of(file("A"), directory("Lib"), file("a"), directory("lib"), file("lib/x"))
    assert set(both(package(change))[1]) == {"A", "a", "lib/x"}


def test_a_link_out_of_the_package_is_no_manifest() -> None:
    text = json.loads(serialize(manifest(of(*(file(p, links="a") for p in ("a", "b"))))))
    for wrong in ("/etc/master.passwd", "../x", "c"):
        text["files"][1]["links"] = wrong
        raw = json.dumps(text, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        assert code_of(assembled(raw, END)) == "package-malformed"


GOOD = of(directory("a"), file("a/b", b"x" * 600), symlink("l", "a/b"), file("z", b""))
TOLD = serialize(manifest(GOOD))
LYING: dict[str, bytes] = {
    "another mode": members([*GOOD.entries[:3], replace(GOOD.entries[3], mode=0o4755)]) + END,
    "another owner": members([replace(GOOD.entries[0], uid=80), *GOOD.entries[1:]]) + END,
    "a device for a file": members(GOOD.entries[:3]) + header(GOOD.entries[3], 0).replace(b"\x000", b"\x003") + END,
    "another content": members(GOOD.entries).replace(b"x" * 600, b"y" * 600) + END,
    "another size": members([GOOD.entries[0], file("a/b", b"x" * 601), *GOOD.entries[2:]]) + END,
    "another target": members([*GOOD.entries[:2], symlink("l", "/etc"), GOOD.entries[3]]) + END,
    "one missing": members(GOOD.entries[:3]) + END,
    "one missing in the middle": members([*GOOD.entries[:2], GOOD.entries[3]]) + END,
    "one more": members([*GOOD.entries, file("zz", b"evil")]) + END,
    "one twice": members([*GOOD.entries, GOOD.entries[3]]) + END,
    "another order": members([GOOD.entries[0], GOOD.entries[2], GOOD.entries[1], GOOD.entries[3]]) + END,
    "something behind a file": members(GOOD.entries).replace(b"x" + bytes(9), b"x" + b"evil" + bytes(5)) + END,
    "something behind the end": members(GOOD.entries) + END + members([file("zz")]),
    "zeros behind the end": members(GOOD.entries) + END + bytes(512),
    "half an end": members(GOOD.entries) + END[:512],
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", LYING)
def test_a_payload_that_is_not_as_the_manifest_says_is_refused(name: str) -> None:
    assert LYING[name] != members(GOOD.entries) + END
    assert code_of(assembled(TOLD, LYING[name])) in ("package-disagrees", "package-malformed")


def test_the_payload_is_where_the_manifest_ends() -> None:
    first, rest = assembled(TOLD, b""), members(GOOD.entries) + END
    assert code_of(lzma.compress(lzma.decompress(first) + rest)) == "package-malformed"
    assert code_of(first + rest) == "archive-malformed"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_manifest_that_no_reader_of_the_format_would_see_is_not_taken_for_a_file(
    compress: Callable[[bytes], bytes],
) -> None:
    assert code_of(assembled(TOLD, members(GOOD.entries) + END, compress)) == "package-malformed"


def test_a_bomb_is_refused_before_it_is_expanded() -> None:
    """The manifest says how much comes; a gigabyte of zeros behind it is not looked at."""
    assert code_of(assembled(TOLD, bytes(1 << 23))) == "package-disagrees"
    huge = of(*(Entry(f"f{n}", "file", 0o644, size=1 << 36, sha256="0" * 64) for n in range(2)))
    assert code_of(assembled(serialize(manifest(huge)), b"")) == "archive-too-large"


def test_a_manifest_that_says_it_is_huge_is_not_read() -> None:
    from reconciler.packages.layout import manifest_header

    assert code_of(lzma.compress(manifest_header(1 << 30) + bytes(1 << 20))) == "package-malformed"
    assert code_of(lzma.compress(manifest_header(1 << 20) + bytes(1 << 23))) == "package-malformed"
