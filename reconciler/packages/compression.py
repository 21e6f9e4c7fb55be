"""Expanding a compressed stream with bounded memory, one piece at a time.

xz, zstd and gzip, as FreeBSD's sets and jail packages use, and plain tar. Several xz streams, zstd frames
or gzip members one after the other are one file, as xz(1) and libarchive read them; anything else behind
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
_XZ, _GZIP, _ZSTD = b"\xfd7zXZ\x00", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_SIP = 1024
"""Bytes given to zstd at once: the only bound of what it gives back is 128 KiB for each 4 bytes that it gets."""
_FOREIGN = {b"BZh": "bzip2", b"\x04\x22\x4d\x18": "lz4", b"]\x00\x00": "lzma"}


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


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._decoder = zstandard.ZstdDecompressor(max_window_size=XZ_MEMORY).decompressobj()
        self._error = zstandard.ZstdError
        self.done, self.rest = False, b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SIP):
            try:
                yield self._decoder.decompress(data[start : start + _SIP])
            except self._error as error:
                raise ValueError(str(error)) from error
            if self._decoder.eof:
                self.done, self.rest = True, self._decoder.unused_data + data[start + _SIP :]
                return


_DECODERS: dict[bytes, tuple[str, type[_Xz | _Gzip | _Zstd]]] = {
    _XZ: ("xz", _Xz),
    _GZIP: ("gzip", _Gzip),
    _ZSTD: ("zstd", _Zstd),
}


class FirstStream:
    """The first compressed stream of a file, alone. `end` is where it ends in the file, once all pieces were taken.

    `compression` is "" where the file begins with none that is known; then there are no pieces.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Look at how the file begins."""
        self._file, self._data = file, file.read(_PIECE)
        found = next((kind for magic, kind in _DECODERS.items() if self._data.startswith(magic)), None)
        self.compression = found[0] if found else ""
        self._decoder: _Decoder | None = found[1]() if found else None
        self.end = 0

    def pieces(self) -> Iterator[bytes]:
        """What it expands to. Raises FetchError (`archive-malformed`)."""
        return _checked(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        decoder, data, taken = self._decoder, self._data, 0
        while decoder is not None and data:
            taken += len(data)
            yield from filter(None, decoder.feed(data))  # an empty piece is the end to who takes them
            if decoder.done:
                self.end = taken - len(decoder.rest)
                return
            data = self._file.read(_PIECE)
        if decoder is not None:
            raise EOFError("the compressed stream is cut short")


def expand(file: IO[bytes]) -> tuple[str, Iterator[bytes]]:
    """The name of the compression (`xz`, `zstd`, `gzip`, `none`) and the expanded content in pieces.

    Raises FetchError (`archive-compression`, and `archive-malformed` while the pieces are taken).
    """
    first = file.read(_PIECE)
    for magic, (name, kind) in _DECODERS.items():
        if first.startswith(magic):
            return name, _checked(_expanded(kind, first, file))
    foreign = next((name for magic, name in _FOREIGN.items() if first.startswith(magic)), None)
    if foreign is not None:
        raise FetchError(
            Diagnostic(
                "archive-compression",
                "The archive's compression is not supported",
                f"It is compressed with {foreign}; xz, zstd, gzip and no compression can be checked.",
                "Compress it again with: xz",
            )
        )
    return "none", _plain(first, file)


def _expanded(kind: type[_Xz | _Gzip | _Zstd], data: bytes, file: IO[bytes]) -> Iterator[bytes]:
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
    except (lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise FetchError(
            Diagnostic(
                "archive-malformed",
                "The archive cannot be read",
                f"Its compression is damaged or unusual: {error}.",
                "Fetch or make it again.",
            )
        ) from error
