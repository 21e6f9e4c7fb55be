"""Random trees, with the content of their files; and packages of them."""

from __future__ import annotations

import hashlib
import io
import lzma
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import FetchError
from reconciler.packages.archive import PACKAGE, Limits
from reconciler.packages.compress import XZ_LIGHT, Compression
from reconciler.packages.delta import Delta, delta
from reconciler.packages.layout import header, manifest_header, padded
from reconciler.packages.manifest import Manifest
from reconciler.packages.read import Package, check_payload, read_package
from reconciler.packages.tree import Entry, key, regrouped
from reconciler.packages.write import write_package

CONTENTS = {hashlib.sha256(data).hexdigest(): data for data in (b"", b"a", b"b" * 511, b"c" * 512, b"d" * 70_000)}
NAMES = ("a", "b", "a-b", "é", "x" * 120, "\udcff", "with space", "new\nline", "-f", "._a")
FLAGS = ((), (), ("schg",), ("nodump", "uchg"))
XATTRS = ((), (), (("user.note", b"\0\xff"), ("user.\u00e9", b"")), (("system.x", b"1" * 300),))
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
_IDS = st.sampled_from((0, 80, 0o7777777, 0o10000000, 0xFFFFFFFF))
_MODES = st.sampled_from((0o644, 0o755, 0o4755, 0o2755, 0o1777, 0))


def examples(count: int) -> settings:
    """That many, on a machine that may have other things to do."""
    return settings(max_examples=count, deadline=None, suppress_health_check=SLOW)


def file(path: str, data: bytes = b"a", **said: object) -> Entry:
    """A file."""
    digest = hashlib.sha256(data).hexdigest()
    CONTENTS[digest] = data
    return replace(Entry(path, "file", 0o644, size=len(data), sha256=digest), **said)  # type: ignore[arg-type]


def directory(path: str) -> Entry:
    """A folder."""
    return Entry(path, "directory", 0o755)


def symlink(path: str, target: str) -> Entry:
    """A symlink."""
    return Entry(path, "symlink", 0o755, target=target)


@st.composite
def _marked(draw: st.DrawFn, path: str) -> Entry:
    kind = draw(st.sampled_from(("file", "file", "directory", "directory", "symlink", "fifo")))
    entry = Entry(path, kind, draw(_MODES), draw(_IDS), draw(_IDS))
    entry = replace(entry, flags=draw(st.sampled_from(FLAGS)), xattrs=draw(st.sampled_from(XATTRS)))
    if kind == "file":
        digest = draw(st.sampled_from(sorted(CONTENTS)))
        mtime = draw(st.sampled_from((0, 1_700_000_000, 0o77777777777, 1 << 40)))
        return replace(entry, size=len(CONTENTS[digest]), sha256=digest, mtime=mtime, acl=draw(st.sampled_from(_ACLS)))
    return replace(entry, target=draw(st.sampled_from(("a", "/etc/é", "y" * 300)))) if kind == "symlink" else entry


_ACLS = ("", "", "user:www:r::allow:80")


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Entry]:
    """A tree of at most some twenty names, with hard links in it."""
    made: dict[str, Entry] = {}
    folders = [""]
    for _ in range(draw(st.integers(0, 20))):
        parent = draw(st.sampled_from(folders))
        path = f"{parent}/{draw(st.sampled_from(NAMES))}".lstrip("/")
        if path in made:
            continue
        made[path] = draw(_marked(path))
        if made[path].type == "directory" and path.count("/") < 3:
            folders.append(path)
    files = sorted((path for path, entry in made.items() if entry.type == "file"), key=key)
    group = draw(st.sets(st.sampled_from(files), max_size=4)) if files else set()
    for path, links in regrouped([group]).items():
        made[path] = replace(made[links], path=path, links=links)
    for path, links in regrouped([group]).items():
        made[path] = replace(made[path], links=links)
    return made


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Two trees that have much in common: the second takes each of its names from one of two."""
    before, other = draw(trees()), draw(trees())
    if draw(st.booleans()):
        return before, other
    gone = draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    after = {path: e for path, e in before.items() if not any(path == g or path.startswith(f"{g}/") for g in gone)}
    for path, entry in other.items():
        if all(after[p].type == "directory" for p in _parents(path) if p in after) and _settles(after, path, entry):
            after |= {p: other[p] for p in _parents(path) if p not in after} | {path: entry}
    return before, _relinked(after)


def _settles(tree: Mapping[str, Entry], path: str, entry: Entry) -> bool:
    return entry.type == "directory" or not any(other.startswith(f"{path}/") for other in tree)


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _relinked(tree: dict[str, Entry]) -> dict[str, Entry]:
    """Names of one file are those that say all the same: what two trees had apart may have come together."""
    groups: dict[Entry, list[str]] = {}
    for path, entry in tree.items():
        if entry.links:
            groups.setdefault(replace(entry, path=""), []).append(path)
    links = regrouped(groups.values())
    return {path: replace(entry, links=links.get(path, "")) for path, entry in tree.items()}


NOTHING = Delta()


def manifest(change: Delta = NOTHING, **said: object) -> Manifest:
    """A manifest with everything in it."""
    made = Manifest("nginx", "1.28_1,2", "15.1-RELEASE", (1, 1), "amd64", "FreeBSD:15:amd64", "release/15.1", "r 0.1")
    return replace(made, change=change, **said)  # type: ignore[arg-type]


def package(change: Delta, compression: Compression = "xz", **said: object) -> bytes:
    """A package as it lies on disk."""
    out = io.BytesIO()
    write_package(out, manifest(change, **said), lambda entry: [CONTENTS[entry.sha256]], compression)
    return out.getvalue()


def of(*entries: Entry) -> Delta:
    """The change that makes these, in their order."""
    return delta({}, {entry.path: entry for entry in entries})


def members(entries: Iterable[Entry], when: int = 0) -> bytes:
    """What the payload holds for these entries, in their order."""
    return b"".join(header(e, when) + (padded(CONTENTS[e.sha256]) if e.has_content else b"") for e in entries)


def assembled(text: bytes, rest: bytes, compress: Callable[[bytes], bytes] = lzma.compress) -> bytes:
    """A package of this text and this payload, whatever they say."""
    first = manifest_header(len(text)) + padded(text)
    light = lzma.compress(first, preset=XZ_LIGHT) if compress is lzma.compress else compress(first)
    return light + compress(rest)


def both(data: bytes, limits: Limits = PACKAGE) -> tuple[Package | None, dict[str, bytes]]:
    """Read a package and its payload."""
    taken: dict[str, bytes] = {}
    found = read_package(io.BytesIO(data), limits)
    if found is not None:
        whole = io.BytesIO(data)
        whole.seek(found.payload_at)
        check_payload(whole, found, lambda entry, piece: taken.update({entry.path: taken.get(entry.path, b"") + piece}))
    return found, taken


def code_of(data: bytes) -> str:
    with pytest.raises(FetchError) as caught:
        both(data)
    assert caught.value.diagnostics[0].detail.isprintable()
    return caught.value.diagnostics[0].code
