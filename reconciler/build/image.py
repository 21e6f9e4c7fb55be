"""An AppJail image over a release: the files of its jail, unpacked by the root's own tar inside a build jail.

The archive holds `./jail`, which is what counts here, beside AppJail's own state. Jails share the base system there
by links to /.appjail; here the base is the release, so those links are left out, and so is what lies in /dev.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from typing import IO, cast

from reconciler.build.recipe import ApplyImage
from reconciler.build.segment import DISCARDED, TAIL
from reconciler.build.unpack import UNPACK
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, FetchError, HostError
from reconciler.model.value import Ref
from reconciler.spec.lock import PinnedFile

CHUNK = 1 << 20
LARGEST = 64 << 30
"""Bytes that the files of an image may have together."""
_BLOCK = 512


def apply_image(site: Site, room: Workspace, recipe: ApplyImage, ref: Ref) -> None:
    """Fetch the archive from the first address that gives it, and unpack it.

    Raises FetchError, and HostError (code `image-apply-failed`).
    """
    pieces = _fetched(site, recipe, ref)
    try:
        done = room.exec(UNPACK, stdin=jail_files(pieces), output=site.output(ref))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise _failed(recipe, f"its archive cannot be read: {error}") from error
    if done.status:
        said = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
        raise _failed(recipe, f"tar ended with status {done.status}. {said}".strip())


def _fetched(site: Site, recipe: ApplyImage, ref: Ref) -> Iterable[bytes]:
    errors: list[Diagnostic] = []
    for url in recipe.urls:
        try:
            ((_name, pieces),) = site.archive(PinnedFile(url, recipe.sha256), ref)
            return pieces
        except FetchError as error:
            errors += error.diagnostics
    raise FetchError(errors)


def jail_files(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """An image's archive as a tar stream of what lies in its jail. Raises tarfile.TarError, ValueError for a flood."""
    total = 0
    with tarfile.open(fileobj=cast(IO[bytes], _Reader(pieces)), mode="r|*") as archive:
        for member in archive:
            name = _inside(member.name)
            if name is None or _left_out(member, name):
                continue
            member.name = f"./{name}"
            if member.islnk():
                linked = _inside(member.linkname)
                if linked is None:
                    continue
                member.linkname = f"./{linked}"
            member.pax_headers = {}
            yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            total += member.size if member.isreg() else 0
            if total > LARGEST:
                raise ValueError(f"it holds more than {LARGEST} bytes")
            yield from _content(archive, member)
    yield bytes(2 * _BLOCK)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    source = archive.extractfile(member) if member.isreg() else None
    if source is None:
        return
    while piece := source.read(CHUNK):
        yield piece
    yield bytes(-member.size % _BLOCK)


def _inside(name: str) -> str | None:
    """The path below ./jail, or None."""
    plain = "/".join(part for part in name.split("/") if part not in ("", "."))
    return plain.removeprefix("jail/") if plain.startswith("jail/") else None


def _left_out(member: tarfile.TarInfo, name: str) -> bool:
    top = name.partition("/")[0]
    shared = member.issym() and member.linkname.startswith("/.appjail/")
    return (
        top in (".appjail", "dev")
        or shared
        or not (member.isreg() or member.isdir() or member.issym() or member.islnk())
    )


class _Reader:
    """Pieces of bytes as a file that is read once, from its beginning."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Nothing is read yet."""
        self._pieces = iter(pieces)
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        while size < 0 or len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        cut = len(self._held) if size < 0 else size
        found, self._held = self._held[:cut], self._held[cut:]
        return found


def _failed(recipe: ApplyImage, what: str) -> HostError:
    detail = f"{recipe.name}:{recipe.tag}: {what}"
    return HostError(Diagnostic("image-apply-failed", "An image could not be unpacked", detail, DISCARDED))
