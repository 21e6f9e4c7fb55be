"""Compressing in pieces, each a stream of its own, on as many processors as there are.

Pieces are cut at fixed places, so the result depends on the content and the version of the library alone, never
on how many processors there were. Several xz streams, or zstd frames, one after the other are one file to xz(1),
zstd(1) and libarchive. Memory: some 150 MB for each thread.
"""

from __future__ import annotations

import hashlib
import lzma
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Literal, Self, assert_never

Compression = Literal["xz", "zstd"]
SUFFIX: dict[Compression, str] = {"xz": ".tar.xz", "zstd": ".tar.zst"}
PIECE = 24 * 1024**2
"""Bytes of a piece before compression: three dictionaries of `xz -6`, as xz(1) takes for its blocks."""
XZ_PRESET, XZ_LIGHT = 6, 2
ZSTD_LEVEL, ZSTD_LIGHT = 12, 3
"""Light is for what hardly gets smaller: a manifest is digests for the most part."""
MAX_THREADS = 16


def threads() -> int:
    """Processors that this process may use, within reason: each costs memory."""
    counted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(counted, MAX_THREADS)


class Compressor:
    """A file being written through a compression. As a context it ends with no thread left.

    `sha256` and `size` (bytes) are of what was written, right after `finish`. Raises OSError of the file.
    """

    def __init__(self, out: IO[bytes], compression: Compression, workers: int = 0) -> None:
        """Write to `out`; `workers` 0 means as many as there are processors."""
        self._out = out
        self._compress = _piece(compression, XZ_PRESET, ZSTD_LEVEL)
        self._lightly = _piece(compression, XZ_LIGHT, ZSTD_LIGHT)
        self._workers = workers or threads()
        self._pool = ThreadPoolExecutor(self._workers, "compress")
        self._waiting: deque[Future[bytes]] = deque()
        self._parts: list[bytes] = []
        self._held = 0
        self._digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        """Nothing happens yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the threads; what was not finished is lost."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def write(self, data: bytes) -> None:
        """Take some bytes."""
        while self._held + len(data) >= PIECE:
            room = PIECE - self._held
            self._parts.append(data[:room])
            self._held += room
            self.cut()
            data = data[room:]
        if data:
            self._parts.append(data)
            self._held += len(data)

    def alone(self, data: bytes) -> None:
        """Write this as one stream of its own, however long it is, and with less work."""
        self.cut()
        self._submit(self._lightly, data)

    def cut(self) -> None:
        """End the stream here; what follows begins another."""
        if not self._held:
            return
        data = b"".join(self._parts)
        self._parts, self._held = [], 0
        self._submit(self._compress, data)

    def _submit(self, compress: Callable[[bytes], bytes], data: bytes) -> None:
        self._waiting.append(self._pool.submit(compress, data))
        while len(self._waiting) > self._workers + 1:
            self._take()

    def finish(self) -> str:
        """Write what is left; gives the SHA256 (hex) of the whole."""
        self.cut()
        while self._waiting:
            self._take()
        return self._digest.hexdigest()

    def _take(self) -> None:
        data = self._waiting.popleft().result()
        self._digest.update(data)
        self.size += len(data)
        self._out.write(data)


def _piece(compression: Compression, preset: int, level: int) -> Callable[[bytes], bytes]:
    if compression == "xz":
        return lambda data: lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=preset)
    if compression == "zstd":
        import zstandard

        # A compressor is not for several threads at once.
        return lambda data: zstandard.ZstdCompressor(level, write_checksum=True).compress(data)
    assert_never(compression)
