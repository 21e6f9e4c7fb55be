"""Reading packages of format 2: the manifest alone, or all of it, held against the manifest byte by byte.

Every byte of the payload follows from the manifest but the content of files, and that has to have its SHA256. So
there is nothing in a package that its manifest does not say, and nothing that two readers could see differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from reconciler.cache import open_regular, stream
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.archive import PACKAGE, Limits
from reconciler.packages.compress import SUFFIX
from reconciler.packages.compression import FirstStream, expand
from reconciler.packages.judge import judge
from reconciler.packages.layout import BLOCK, END, MANIFEST, header, manifest_header, padding, stamp
from reconciler.packages.manifest import MAX_BYTES, Manifest, malformed, parse
from reconciler.packages.tree import Entry

Sink = Callable[[Entry, bytes], None]
"""Takes the content of files in pieces, each with its entry; files without content are not told of."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of format 2 whose manifest was read and judged. `payload_at` is where its payload begins, in bytes:
    what stands from there is a compressed tar archive of its own."""

    manifest: Manifest
    compression: str
    payload_at: int


def read_package(file: IO[bytes], limits: Limits = PACKAGE) -> Package | None:
    """The manifest of a package, from where the file is; None for what is no package of format 2.

    Reads little more than the manifest. Raises FetchError: `package-malformed`, `package-format`,
    `archive-hostile`, `archive-too-large`, `archive-malformed`.
    """
    start = file.tell()
    first = FirstStream(file)
    pieces = first.pieces()
    data = b""
    if not first.compression:
        file.seek(start)
        data = file.read(BLOCK)
    while len(data) < BLOCK and (piece := next(pieces, b"")):
        data += piece
    if data[: len(MANIFEST) + 1] != MANIFEST.encode() + b"\0":
        return None
    if first.compression not in SUFFIX:
        raise malformed(f"It is compressed with {first.compression or 'nothing'}, and format 2 with xz or zstd.")
    digits = data[124:135]
    size = int(digits, 8) if digits.isdigit() and not digits.strip(b"01234567") else -1
    if not 0 <= size <= MAX_BYTES or data[:BLOCK] != manifest_header(size):
        raise malformed("The header of its manifest is not as format 2 writes it.")
    whole, parts, held = BLOCK + size + padding(size), [data], len(data)
    for piece in pieces:
        parts.append(piece)
        held += len(piece)
        if held > whole:
            break
    data = b"".join(parts)
    if len(data) != whole or data[BLOCK + size :].strip(b"\0"):
        raise malformed("Its manifest is not a compressed stream of its own, or has another size than it says.")
    manifest = parse(data[BLOCK : BLOCK + size])
    judge(manifest, limits)
    return Package(manifest, first.compression, first.end)


def check_payload(file: IO[bytes], package: Package, sink: Sink | None = None) -> None:
    """Hold the payload, from where the file is, against the manifest. `sink` is given the content of files, before
    the end of each was seen to be right.

    Raises FetchError: `package-disagrees` (at which path), `archive-malformed`.
    """
    compression, pieces = expand(file)
    if compression != package.compression:
        raise malformed("Its manifest and its payload are compressed in different ways.")
    take = _Taker(pieces)
    entries = package.manifest.change.entries
    when = stamp(entries)
    for entry in entries:
        wanted = header(entry, when)
        if take.exactly(len(wanted)) != wanted:
            raise _disagrees(entry.path, "its archive says something else of it, or does not have it there")
        if entry.has_content:
            digest = hashlib.sha256()
            for piece in take.pieces(entry.size):
                digest.update(piece)
                if sink is not None:
                    sink(entry, piece)
            if digest.hexdigest() != entry.sha256:
                raise _disagrees(entry.path, "its content does not have the SHA256 that the manifest says")
            if take.exactly(padding(entry.size)).strip(b"\0"):
                raise _disagrees(entry.path, "something stands behind its content")
    if take.exactly(len(END)) != END or take.more():
        raise _disagrees("", "the archive goes on behind what the manifest says")


def check_package(path: Path, limits: Limits = PACKAGE, sink: Sink | None = None) -> Package | None:
    """Read and hold against its manifest a whole package; None for what is no package of format 2.

    Raises FetchError as `read_package` and `check_payload`, and `package-unreadable` where the file cannot be read.
    """
    try:
        with open_regular(path, follow=True) as file:
            package = read_package(file, limits)
            if package is not None:
                file.seek(package.payload_at)
                check_payload(file, package, sink)
            return package
    except OSError as error:
        raise unreadable(path, error) from error


def payload(path: Path, sha256: str, package: Package) -> Iterator[bytes]:
    """The payload as a compressed tar archive, in pieces, while the whole file is hashed once more.

    The last piece is given only when the whole has its digest. Raises FetchError as `cache.stream`.
    """
    left = package.payload_at
    for piece in stream(path, sha256):
        skipped = min(left, len(piece))
        left -= skipped
        if skipped < len(piece):
            yield piece[skipped:]


class _Taker:
    """An expanded stream, taken in exact amounts."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._buffer, self._at = pieces, b"", 0

    def exactly(self, size: int) -> bytes:
        """That many bytes, or fewer at the end."""
        return b"".join(self.pieces(size, whole=False))

    def pieces(self, size: int, *, whole: bool = True) -> Iterator[bytes]:
        """That many bytes, as they come."""
        while size:
            if self._at == len(self._buffer):
                self._buffer, self._at = next(self._pieces, b""), 0
                if not self._buffer:
                    if whole:
                        raise malformed("Its payload ends early.")
                    return
            piece = self._buffer[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._buffer) or bool(next(self._pieces, b""))


def unreadable(path: Path, error: OSError) -> FetchError:
    """The error of a file that cannot be opened or read."""
    return FetchError(
        Diagnostic(
            "package-unreadable",
            "The file of a package cannot be read",
            f"{path}: {error.strerror or error}.",
            "Check its name; it is a regular file.",
        )
    )


def _disagrees(path: str, reason: str) -> FetchError:
    where = f"{path!a}: {reason}" if path else f"At its end: {reason}"
    return FetchError(
        Diagnostic(
            "package-disagrees",
            "The jail package does not hold what its manifest says",
            f"{where}. Nothing of it was used.",
            "Do not use this package; ask where it comes from.",
        )
    )
