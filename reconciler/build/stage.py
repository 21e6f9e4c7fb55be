"""Bring what a segment reads (COPY sources, the Makejail's folder for host code) to the host."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from reconciler.build.recipe import RunSegment
from reconciler.cache import hash_stream, open_regular
from reconciler.model.action import Site
from reconciler.model.value import Ref

CHUNK = 1 << 20


def stage_sources(site: Site, recipe: RunSegment, work: str) -> None:
    """Unpack each source below WORK/sources/N, and what host code may read: the folder below WORK/context, those that
    INCLUDE enters beside it below WORK/included/N."""
    site.host.files.mkdir(f"{work}/context", 0o700)
    site.host.files.mkdir(f"{work}/sources", 0o700)
    for source in recipe.segment.sources:
        target = f"{work}/sources/{source.ordinal}"
        site.host.files.mkdir(target, 0o700)
        site.host.files.extract(_archive(os.path.join(recipe.context, source.path), source.name or "."), target)
    if recipe.segment.needs_context:
        site.host.files.extract(_archive(recipe.context, "."), f"{work}/context")
        site.host.files.mkdir(f"{work}/included", 0o700)
    for one in recipe.segment.outside:
        site.host.files.mkdir(f"{work}/included/{one.number}", 0o700)
        if one.whole:
            site.host.files.extract(_archive(one.path, "."), f"{work}/included/{one.number}")


def stage_pinned(site: Site, recipe: RunSegment, ref: Ref, work: str) -> None:
    """Put each pinned download at WORK/pinned/N; WORK/pinned/index says whose it is. Raises FetchError."""
    site.host.files.mkdir(f"{work}/pinned", 0o700)
    index = ""
    for number, file in enumerate(recipe.files):
        for _name, chunks in site.archive(file, ref):
            site.host.files.write(f"{work}/pinned/{number}", b"".join(chunks))
        index += f"{number} {file.url}\n"
    site.host.files.write(f"{work}/pinned/index", index.encode())


def digests(paths: Iterable[str]) -> frozenset[str]:
    """The SHA256 (hex) of every regular file at or below these paths. What cannot be read is passed over."""
    found: set[str] = set()
    for path in paths:
        below = (os.path.join(folder, name) for folder, _folders, names in os.walk(path) for name in names)
        for file in (path, *below):
            with suppress(OSError), open_regular(Path(file)) as opened:
                found.add(hash_stream(opened)[0])
    return frozenset(found)


def _archive(path: str, name: str) -> Iterator[bytes]:
    """One file or folder as a tar stream under a name, owned by root; links are kept as links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(path, arcname=name, filter=_root)
    buffer.seek(0)
    while chunk := buffer.read(CHUNK):
        yield chunk


def _root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname, member.gname = "root", "wheel"
    return member
