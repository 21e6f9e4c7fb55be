"""Expanding a compressed stream with bounded memory, one piece at a time.

xz and gzip, as FreeBSD's sets and jail packages use, and plain tar. Several xz streams or gzip
members one after the other are one file, as xz(1) and libarchive read them; anything else behind
the end is refused, so that no reader sees more than we did.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

from reconciler.model.diagnostic import Diagnostic, FetchError

XZ_MEMORY = 128 * 1024 * 1024
"""Bytes that the xz decoder may use; `xz -9` needs 65 MiB."""
_PIECE = 256 * 1024
_XZ, _GZIP = b"\xfd7zXZ\x00", b"\x1f\x8b\x08"
_FOREIGN = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\x04\x22\x4d\x18": "lz4", b"]\x00\x00": "lzma"}


class _Decoder(Protocol):
    """One compressed stream on its way out."""

    done: bool
    rest: bytes

    def feed(self, data: bytes) -> Iterator[bytes]: ...


class _Xz:
    def __init__(self) -> None:
        self._decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        self.done, self.rest = False, b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._decoder.decompress(data, _PIECE)
        while not self._decoder.needs_input and not self._decoder.eof:
            yield self._decoder.decompress(b"", _PIECE)
        self.done, self.rest = self._decoder.eof, self._decoder.unused_data


class _Gzip:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)
        self.done, self.rest = False, b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._decoder.eof:
            yield self._decoder.decompress(data, _PIECE)
            data = self._decoder.unconsumed_tail
        self.done, self.rest = self._decoder.eof, self._decoder.unused_data


def expand(file: IO[bytes]) -> tuple[str, Iterator[bytes]]:
    """The name of the compression (`xz`, `gzip`, `none`) and the expanded content in pieces.

    Raises FetchError (`archive-compression`, and `archive-malformed` while the pieces are taken).
    """
    first = file.read(_PIECE)
    if first.startswith(_XZ):
        return "xz", _checked(_expanded(_Xz, first, file))
    if first.startswith(_GZIP):
        return "gzip", _checked(_expanded(_Gzip, first, file))
    foreign = next((name for magic, name in _FOREIGN.items() if first.startswith(magic)), None)
    if foreign is not None:
        raise FetchError(
            Diagnostic(
                "archive-compression",
                "The archive's compression is not supported",
                f"It is compressed with {foreign}; xz, gzip and no compression can be checked.",
                "Compress it again with: xz",
            )
        )
    return "none", _plain(first, file)


def _expanded(kind: type[_Xz | _Gzip], data: bytes, file: IO[bytes]) -> Iterator[bytes]:
    decoder: _Decoder = kind()
    while data:
        for piece in decoder.feed(data):
            if piece:
                yield piece
        if decoder.done:
            data = _after_stream(decoder.rest, file, padded=kind is _Xz)
            if not data:
                return
            decoder = kind()
        else:
            data = file.read(_PIECE)
    raise EOFError("the compressed stream is cut short")


def _after_stream(rest: bytes, file: IO[bytes], *, padded: bool) -> bytes:
    """What follows a finished stream: the next one, or nothing. xz allows zeros in between."""
    rest = rest or file.read(_PIECE)
    while padded and rest and not (rest := rest.lstrip(b"\0")):
        rest = file.read(_PIECE)
    return rest


def _plain(data: bytes, file: IO[bytes]) -> Iterator[bytes]:
    while data:
        yield data
        data = file.read(_PIECE)


def _checked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise FetchError(
            Diagnostic(
                "archive-malformed",
                "The archive cannot be read",
                f"Its compression is damaged or unusual: {error}.",
                "Fetch or make it again.",
            )
        ) from error
