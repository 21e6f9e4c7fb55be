"""Checking a cached archive once per content: the result is noted beside it, under its digest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from reconciler.cache import Cache, open_regular, stream
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.archive import Limits, Summary, check_archive, check_members, first_of
from reconciler.packages.compression import expand
from reconciler.packages.gate import Gate, as_file
from reconciler.packages.read import Package, check_payload, read_package

RULE = 1
"""Version of the rules of `archive`; a result of other rules is not believed."""


def check_cached(cache: Cache, sha256: str, limits: Limits, capture: Collection[str] = ()) -> Summary:
    """The summary of a file of the cache, checked now or by an earlier run with the same limits.

    Raises FetchError as `check_archive`, and `cache-unusable` when the file is not there.
    """
    known = known_summary(cache, sha256, limits, capture)
    if known is not None:
        return known
    summary = check_file(cache.path(sha256), limits, capture)
    _note(cache, sha256, limits, capture, summary)
    return summary


def first(cache: Cache, sha256: str, limits: Limits, name: str) -> bytes:
    """The content of a small file of a cached archive, read no further than its first appearance; b"" for none.

    Nothing behind it was judged. Raises FetchError as `check_cached`.
    """
    with _opened(cache.path(sha256)) as file:
        return first_of(file, limits, name)


def checked_stream(
    cache: Cache, sha256: str, limits: Limits, capture: Collection[str] = (), *, expanded: bool = False
) -> Iterator[bytes]:
    """The bytes of a cached archive for tar, each chunk given only once all that it expands to was judged.

    With `expanded` tar gets them expanded, where that is cheaper than its expanding them again.

    Tar so never sees a member that was not, and works while the next ones are judged. The whole is hashed again on
    its way, and its last chunk withheld until the digest is right. The result is noted. Raises FetchError as
    `check_cached` and `cache.stream`.
    """
    found: list[Summary] = []
    packed = stream(cache.path(sha256), sha256)
    if expanded:
        name, pieces = expand(as_file(packed))

        def judge(file: IO[bytes]) -> None:
            found.append(check_members(iter(partial(file.read, -1), b""), name, limits, capture))

        yield from Gate(pieces).through(judge)
    else:
        yield from Gate(packed).through(lambda file: found.append(check_archive(file, limits, capture)))
    _note(cache, sha256, limits, capture, found[0])


def _note(cache: Cache, sha256: str, limits: Limits, capture: Collection[str], summary: Summary) -> None:
    value: dict[str, object] = {
        "rule": RULE,
        "limits": repr(limits),
        "capture": sorted(capture),
        "members": summary.members,
        "content": summary.content,
        "compression": summary.compression,
        "captured": {name: data.hex() for name, data in summary.captured.items()},
    }
    cache.set_note(sha256, "checked", value)


def check_cached_package(cache: Cache, sha256: str, limits: Limits) -> tuple[Package | None, Summary]:
    """A package of the cache, held against its manifest now or by an earlier run with the same limits; None and the
    summary of the archive for one of the first format. The manifest itself is read and judged every time.

    Raises FetchError as `check_package` and `check_archive`, and `cache-unusable` when the file is not there.
    """
    with _opened(cache.path(sha256)) as file:
        package = read_package(file, limits)
        if package is None:
            return None, check_cached(cache, sha256, limits)
        note: dict[str, object] = {"rule": RULE, "limits": repr(limits), "payload_at": package.payload_at}
        if cache.note(sha256, "held") != note:
            file.seek(package.payload_at)
            check_payload(file, package)
            cache.set_note(sha256, "held", note)
    entries = package.manifest.change.entries
    total = sum(entry.size for entry in entries if entry.has_content)
    return package, Summary(len(entries), total, package.compression)


def known_summary(cache: Cache, sha256: str, limits: Limits, capture: Collection[str] = ()) -> Summary | None:
    """The noted result of an earlier check by the same rules, or None. Reads a few hundred bytes."""
    note = cache.note(sha256, "checked")
    if note is None or (note.get("rule"), note.get("limits")) != (RULE, repr(limits)):
        return None
    captured = note.get("captured")
    members, content, compression = note.get("members"), note.get("content"), note.get("compression")
    if note.get("capture") != sorted(capture) or not isinstance(captured, dict):
        return None
    if not (isinstance(members, int) and isinstance(content, int) and isinstance(compression, str)):
        return None
    try:
        files = {name: bytes.fromhex(data) for name, data in captured.items()}
    except (TypeError, ValueError):
        return None
    return Summary(members, content, compression, files)


def check_file(path: Path, limits: Limits, capture: Collection[str] = ()) -> Summary:
    """`check_archive` of a regular file."""
    with _opened(path) as file:
        return check_archive(file, limits, capture)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with open_regular(path) as file:
            yield file
    except OSError as error:
        detail = f"{path}: {error.strerror or error}."
        hint = "Fetch it again."
        raise FetchError(
            Diagnostic("cache-unusable", "The folder of downloads cannot be used", detail, hint)
        ) from error
