"""The digest that lies beside an archive, in the form of sha256sum(1) or bare, and what it is held against."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reconciler.model.diagnostic import FetchError
from reconciler.packages.inspect import checked_digest, opened, told_digest

HASH = hashlib.sha256(b"data").hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "p.tar.xz"
    path.write_bytes(b"data")
    return path


@pytest.mark.parametrize("text", [HASH, f"{HASH}\n", f"{HASH}  p.tar.xz\n"])
def test_a_digest_is_read_in_either_form(archive: Path, text: str) -> None:
    Path(f"{archive}.sha256").write_text(text)
    assert told_digest(archive) == checked_digest(archive) == HASH


@pytest.mark.parametrize(
    "text", ["", HASH.upper(), HASH[1:], f"{HASH}  other.tar.xz\n", f"{HASH}\n{HASH}\n", f"{HASH} p"]
)
def test_a_digest_of_another_file_is_refused(archive: Path, text: str) -> None:
    Path(f"{archive}.sha256").write_text(text)
    with pytest.raises(FetchError, match="digest-malformed"):
        checked_digest(archive)


def test_a_wrong_digest_is_refused_wherever_it_stands(archive: Path) -> None:
    assert told_digest(archive) is None
    with pytest.raises(FetchError, match="digest-mismatch"):
        checked_digest(archive, "0" * 64)
    Path(f"{archive}.sha256").write_text("0" * 64)
    with pytest.raises(FetchError, match="digest-mismatch"):
        checked_digest(archive)


def test_what_is_no_package_says_so(archive: Path) -> None:
    with pytest.raises(FetchError, match="package-first-format"):
        opened(archive)
    with pytest.raises(FetchError, match="package-unreadable"):
        opened(archive.parent)
    with pytest.raises(FetchError, match="package-unreadable"):
        opened(archive.with_name("none"))
