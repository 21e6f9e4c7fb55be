"""Archives that are hostile by their size. Slow: `make test-slow` runs it."""

from __future__ import annotations

import io
import lzma
import resource
import tarfile
from pathlib import Path

import pytest

from reconciler.cache import Cache
from reconciler.model.diagnostic import FetchError
from reconciler.packages.archive import SET
from reconciler.packages.checked import checked_stream

from .mirror import add


def put(cache: Cache, data: bytes) -> str:
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    cache.prepare()
    cache.path(digest).write_bytes(data)
    return digest


def million(kind: bytes) -> bytes:
    out = io.BytesIO()
    with lzma.open(out, "wb", preset=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for number in range(1_000_000):
            add(tar, f"./{number}", kind, "0" if kind != tarfile.REGTYPE else "")
    return out.getvalue()


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE])
def test_a_million_entries_are_refused_in_bounded_memory(tmp_path: Path, kind: bytes) -> None:
    cache = Cache(tmp_path)
    digest = put(cache, million(kind))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FetchError, match="archive-too-large"):
        for _ in checked_stream(cache, digest, SET):
            pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_a_sparse_bomb_is_refused_at_its_header(tmp_path: Path) -> None:
    cache, out = Cache(tmp_path), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("./bomb")
        member.pax_headers = {
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "./bomb",
            "GNU.sparse.realsize": str(1 << 50),
        }  # fmt: skip
        member.size = 512
        tar.addfile(member, io.BytesIO(b"0\n".ljust(512, b"\0")))
    with pytest.raises(FetchError, match="archive-too-large"):
        list(checked_stream(cache, put(cache, lzma.compress(out.getvalue())), SET))
