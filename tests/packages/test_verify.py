"""A jail package is believed by its digest, then by its members; no host is needed for either."""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import pytest

from reconciler.cache import Cache
from reconciler.model.diagnostic import FetchError
from reconciler.packages.archive import PACKAGE as PACKAGE_LIMITS
from reconciler.packages.checked import check_cached
from reconciler.packages.verify import source_url, verify

from .tars import Item, folder, tar_of

PACKAGE = lzma.compress(tar_of([folder("usr"), Item("usr/local/bin/x", data=b"#!/bin/sh\n")]))
EVIL = lzma.compress(tar_of([Item("../../etc/passwd", data=b"root")]))


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("source", ["../packages/p #1%.txz", "ABSOLUTE", "FILE"])
def test_a_package_is_had_from_a_path_or_a_file_url(tmp_path: Path, cache: Cache, source: str) -> None:
    specs, packages = tmp_path / "specs", tmp_path / "packages"
    specs.mkdir()
    packages.mkdir()
    place = packages / ("p #1%.txz" if source.startswith("..") else "p.txz")
    place.write_bytes(PACKAGE)
    source = {"ABSOLUTE": str(place), "FILE": f"file://{place}"}.get(source, source)
    package = verify(source, digest(PACKAGE), specs, cache)
    assert (package.size, package.summary.members) == (len(PACKAGE), 2)
    place.write_bytes(b"changed behind our back")
    assert b"".join(package.chunks()) == PACKAGE
    assert verify(source, digest(PACKAGE), specs, cache) == package


def test_the_digest_is_seen_before_the_archive_is_read(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "p.txz").write_bytes(EVIL)
    with pytest.raises(FetchError) as caught:
        verify("p.txz", digest(PACKAGE), tmp_path, cache)
    assert caught.value.diagnostics[0].code == "digest-mismatch"
    assert digest(EVIL).removeprefix("sha256:") in caught.value.diagnostics[0].detail


def test_a_hostile_package_with_the_right_digest_is_refused_each_time(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "p.txz").write_bytes(EVIL)
    for _ in range(2):
        with pytest.raises(FetchError, match="archive-hostile"):
            verify("p.txz", digest(EVIL), tmp_path, cache)


@pytest.mark.parametrize("source", ["", "ftp://m/p.txz", "git+ssh://m/p.txz", "a\0b"])
def test_a_source_of_another_kind_is_refused(source: str) -> None:
    with pytest.raises(FetchError) as caught:
        source_url(source, Path("/specs"))
    assert caught.value.diagnostics[0].code == "package-source"


def test_an_http_source_is_fetched_as_it_stands() -> None:
    assert source_url("http://m.example/p.txz", Path("/specs")) == "http://m.example/p.txz"


def test_a_missing_package_is_named(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(FetchError) as caught:
        verify("none.txz", digest(PACKAGE), tmp_path, cache)
    assert caught.value.diagnostics[0].code == "mirror-not-found"
    assert "none.txz" in caught.value.diagnostics[0].detail


def test_a_file_that_is_not_in_the_cache_cannot_be_checked(cache: Cache) -> None:
    with pytest.raises(FetchError, match="cache-unusable"):
        check_cached(cache, digest(PACKAGE), PACKAGE_LIMITS)
