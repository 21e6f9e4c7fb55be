"""Writing packages of format 2. The same manifest and content give the same bytes, whatever machine writes them.

(With the same version of liblzma or libzstd: another may compress better. What the manifest says does not change.)
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.compress import SUFFIX, Compression, Compressor
from reconciler.packages.delta import Delta
from reconciler.packages.judge import judge
from reconciler.packages.layout import END, header, manifest_header, padded, padding, stamp
from reconciler.packages.manifest import Manifest, serialize
from reconciler.packages.tree import Entry

Content = Callable[[Entry], Iterable[bytes]]
"""The bytes of a file, in pieces; asked once for each entry that has content, in their order."""


@dataclass(frozen=True, slots=True)
class Written:
    """A package on disk: its digest (hex) and its size in bytes."""

    path: Path
    sha256: str
    size: int


def write_package(out: IO[bytes], manifest: Manifest, content: Content, compression: Compression = "xz") -> str:
    """Write a package; gives the SHA256 (hex) of all that was written.

    Raises FetchError: `package-malformed` and `archive-too-large` for a manifest that could not be read again,
    `archive-hostile` for one that would be refused, `package-changed` where a file is not as the manifest says; and
    OSError of `out`.
    """
    text = serialize(manifest)
    judge(manifest)
    when = stamp(manifest.change.entries)
    with Compressor(out, compression) as compressor:
        compressor.alone(manifest_header(len(text)) + padded(text))
        for entry in manifest.change.entries:
            compressor.write(header(entry, when))
            if entry.has_content:
                _copy(compressor, entry, content(entry))
        compressor.write(END)
        return compressor.finish()


def _copy(compressor: Compressor, entry: Entry, pieces: Iterable[bytes]) -> None:
    digest, left = hashlib.sha256(), entry.size
    for piece in pieces:
        digest.update(piece)
        left -= len(piece)
        if left < 0:
            break
        compressor.write(piece)
    if left or digest.hexdigest() != entry.sha256:
        raise FetchError(
            Diagnostic(
                "package-changed",
                "A file changed while it was packed",
                f"{entry.path!a} is not what it was when the tree was read. No package was made.",
                "Stop what writes there, and build the package again.",
            )
        )
    compressor.write(bytes(padding(entry.size)))


def build_package(
    folder: Path, manifest: Manifest, content: Content, compression: Compression = "xz", *, bare: bool = False
) -> Written:
    """Write a package and its `.sha256` into a folder, under the name that its manifest gives it.

    With `bare`, the digest file holds the 64 digits alone. Neither name is there before its content is whole, and
    never with the other's of before. Raises FetchError as `write_package`, and `package-unwritable`.
    """
    serialize(replace(manifest, change=Delta()))  # its name becomes that of a file
    path = folder / (manifest.stem + SUFFIX[compression])
    try:
        with becoming(path) as out:
            sha256 = write_package(out, manifest, content, compression)
            size = out.tell()
        write_digest(path, sha256, bare=bare)
    except OSError as error:
        raise unwritable(path, error) from error
    return Written(path, sha256, size)


@contextmanager
def becoming(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets the name of an archive when it is whole, and never stands beside another's digest.

    What a killed run left of it is written over; two runs do not write it at once. Raises OSError.
    """
    partial = path.with_name(f".{path.name}.partial")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o666), "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino != os.stat(partial, follow_symlinks=False).st_ino:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # another run has just finished it
        try:
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            digest_file(path).unlink(missing_ok=True)
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def prepare_folder(folder: Path) -> None:
    """Make a folder that a package is to be written to. Raises FetchError (`package-unwritable`)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise unwritable(folder, error) from error


def digest_file(path: Path) -> Path:
    """Where the digest of an archive lies: beside it."""
    return path.with_name(path.name + ".sha256")


def write_digest(path: Path, sha256: str, *, bare: bool = False) -> None:
    """Write `HASH  FILE`, as sha256sum(1) checks it, or the bare digits. Raises OSError."""
    place = digest_file(path)
    fresh = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        fresh.write_text(f"{sha256}\n" if bare else f"{sha256}  {path.name}\n")
        os.replace(fresh, place)
    finally:
        fresh.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> FetchError:
    """The error of a package that cannot be written where it belongs."""
    return FetchError(
        Diagnostic(
            "package-unwritable",
            "The file of a package cannot be written",
            f"{path}: {error.strerror or error}. What was there before is as it was, or has gone.",
            "Check the folder, its space and its permissions.",
        )
    )
