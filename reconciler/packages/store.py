"""The packages that a host keeps in its pool, by the SHA256 of their archives.

Below the pool's mountpoint:

    packages/archives/SHA256   an archive, as it was built
    packages/notes/SHA256      JSON: what it is, and its signature; written last, when the archive was seen to be whole
    packages/fetching/BUILD    what pkg(8) of the host fetches for a build, until it is taken or thrown away

So what has no note is not there: it was left by a run that ended early. A note says what to list; an archive is hashed
and held against its manifest again wherever it is used. All of it goes through the host's own facets, so it is the same
over ssh.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from reconciler.cache import CHUNK, Cache, bare_digest, mismatch, private
from reconciler.model.diagnostic import Diagnostic, FetchError, HostError
from reconciler.model.ports import Host, Request
from reconciler.packages.layout import END, header, padding
from reconciler.packages.manifest import Manifest
from reconciler.packages.signature import SUFFIX
from reconciler.packages.tree import Entry

NOTES, ARCHIVES, FETCHING = "packages/notes", "packages/archives", "packages/fetching"


@dataclass(frozen=True, slots=True)
class Note:
    """What the store says of an archive. `size` is in bytes; `signature` as in its `.sig`, "" where it had none.

    A package of the first format says no more than its file's name.
    """

    file: str
    size: int
    name: str = ""
    version: str = ""
    release: str = ""
    levels: str = ""
    arch: str = ""
    signature: str = ""


def note_of(file: str, size: int, manifest: Manifest | None, signature: bytes | None) -> Note:
    """The note of an archive of that name."""
    said = Note(file, size, signature=(signature or b"").decode("ascii", "replace"))
    if manifest is None:
        return said
    return replace(
        said,
        name=manifest.name,
        version=manifest.version,
        release=manifest.release,
        levels=manifest.levels,
        arch=manifest.arch,
    )


class Store:
    """The store of one pool. Every method raises HostError."""

    def __init__(self, host: Host, pool: str, mountpoint: str) -> None:
        """Nothing happens yet."""
        self._host, self._pool, self._mountpoint = host, pool, mountpoint

    def all(self) -> dict[str, Note]:
        """Every package that is there whole, by its SHA256 (hex); one command, however many there are."""
        found: dict[str, Note] = {}
        for path, data in self._below(NOTES).items():
            note = _read(data)
            if note is not None and path.count("/") == 2:
                found[path.rpartition("/")[2]] = note
        return found

    def put(self, sha256: str, pieces: Iterable[bytes], note: Note) -> None:
        """Keep an archive of `note.size` bytes; fine where it is there already. The note is what makes it be there.

        Raises HostError (code `store-failed`) when the host has other bytes than were sent.
        """
        there = self.all().get(sha256)
        if there == note:
            return
        place = self.path(sha256)
        self._host.files.mkdir(f"{self._mountpoint}/{ARCHIVES}", 0o700)
        if there is None or self._host.files.sha256(place) != sha256:
            self._host.files.extract(_as_tar(sha256, pieces, note.size), f"{self._mountpoint}/{ARCHIVES}")
            if self._host.files.sha256(place) != sha256:
                self._host.files.remove(place)
                raise _failed(f"{place} does not have the SHA256 {sha256} after it was written.")
        self.note(sha256, note)

    def note(self, sha256: str, note: Note) -> None:
        """Say of an archive that it is kept: it lies whole where `path` says."""
        self._host.files.mkdir(f"{self._mountpoint}/{NOTES}", 0o700)
        text = json.dumps(asdict(note), sort_keys=True).encode() + b"\n"
        self._host.files.write(f"{self._mountpoint}/{NOTES}/{sha256}", text)

    def get(self, sha256: str, cache: Cache) -> Path | None:
        """Have a kept archive, and its signature, in the cache; None where the store does not have it.

        Raises FetchError (`digest-mismatch`, `cache-full`, `cache-unusable`) too: an archive that is damaged there
        is not used.
        """
        sha256 = bare_digest(sha256)
        note = self.all().get(sha256)
        if note is None:
            return None
        with cache.locked(sha256):
            if (found := cache.find(sha256)) is None:
                found = self._fetch(sha256, note.size, cache)
        if note.signature:
            cache.put(cache.path(sha256, SUFFIX), note.signature.encode())
        return found

    def _fetch(self, sha256: str, size: int, cache: Cache) -> Path:
        partial, digest, left = cache.path(sha256, ".partial"), hashlib.sha256(), size
        with cache.guarded(remove=partial), open(partial, "wb", opener=private) as file:

            def take(piece: bytes) -> None:
                nonlocal left
                left -= len(piece)
                if left < 0:
                    raise _failed(f"{self.path(sha256)} has more bytes than its note says.")
                digest.update(piece)
                file.write(piece)

            self._host.files.send(self.path(sha256), take)
        if digest.hexdigest() != sha256:
            partial.unlink(missing_ok=True)
            raise FetchError(mismatch(self.path(sha256), sha256, digest.hexdigest()))
        return cache.finish(sha256)

    def unfinished(self) -> tuple[str, ...]:
        """Names of archives that no note speaks of: what a run that ended early has left."""
        known = self.all()
        return tuple(name for name in self._host.files.names(f"{self._mountpoint}/{ARCHIVES}") if name not in known)

    def fetching(self) -> tuple[str, ...]:
        """Paths of folders to which archives were being fetched by a run that ended early."""
        above = f"{self._mountpoint}/{FETCHING}"
        return tuple(f"{above}/{name}" for name in self._host.files.names(above))

    def remove(self, name: str) -> None:
        """Forget a package: its note first, so that it is not there any more whatever happens then."""
        self._host.files.remove(f"{self._mountpoint}/{NOTES}/{name}")
        self._host.files.remove(f"{self._mountpoint}/{ARCHIVES}/{name}")

    def path(self, sha256: str) -> str:
        """Where an archive lies on the host."""
        return f"{self._mountpoint}/{ARCHIVES}/{sha256}"

    def _below(self, folder: str) -> dict[str, bytes]:
        request = Request(self._pool, self._mountpoint, frozenset({"files"}), below=(folder,))
        return dict(self._host.parse(request, self._host.observe(request)).files)


def _as_tar(name: str, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """One file as a plain tar archive: the one way of the waist to stream bytes into a file."""
    entry = Entry(name, "file", 0o600, size=size, sha256=name)
    yield header(entry, 0)
    left = size
    for piece in pieces:
        left -= len(piece)
        yield piece
    if left:
        raise _failed(f"The archive {name} has another size than {size} bytes.")
    yield bytes(padding(size)) + END


def _read(data: bytes) -> Note | None:
    """A note, or None for what is none: somebody else's file, or one of a version that knew more."""
    try:
        value = json.loads(data)
        note = Note(**value)
    except (ValueError, TypeError):
        return None
    texts = (note.file, note.name, note.version, note.release, note.levels, note.arch, note.signature)
    return note if isinstance(note.size, int) and all(isinstance(text, str) for text in texts) else None


def archive_pieces(path: Path) -> Iterator[bytes]:
    """The bytes of an archive that lies here. Raises OSError."""
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _failed(detail: str) -> HostError:
    summary = "A package could not be kept in the pool's store"
    return HostError(Diagnostic("store-failed", summary, detail, "Look at the pool: zpool status. Then try again."))
