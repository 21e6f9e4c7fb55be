"""What freebsd-update(8) does with the files of its server: nothing is used before its digest or signature holds.

Pure but for `get`, which gives a file of the server. Refusals are in the words of the script of 15.1.
"""

from __future__ import annotations

import bz2
import hashlib
import http.client
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from reconciler.hosts.sandbox.answer import Refusal
from reconciler.model.diagnostic import FetchError
from reconciler.releases.rsa import KeyUnreadable, NotSigned, public_key, recover
from reconciler.releases.tag import Tag, parse_tag

Get = Callable[[str], bytes | None]
Say = Callable[[str], None]
LIMIT = 256 * 1024 * 1024
PATIENCE = 10.0
"""Seconds without a byte."""
_REFUSED = "Cowardly refusing to proceed any further."
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of metadata. `kind` is f, d, L or -; `value` a SHA256, or the target of a link."""

    component: str
    subcomponent: str
    path: str
    kind: str
    uid: str
    gid: str
    mode: str
    flags: str
    value: str
    hardlink: str

    @property
    def line(self) -> str:
        """As it stands in an index."""
        return "|".join((
            self.component, self.subcomponent, self.path, self.kind, self.uid, self.gid, self.mode, self.flags,
            self.value, self.hardlink,
        ))  # fmt: skip


Index = dict[str, Entry]


def over_http(place: str) -> Get:
    """The files below `HOST[:PORT]/FOLDER`, as fetch(1) gets them: None for what does not come whole."""
    host, _, folder = place.partition("/")

    def get(name: str) -> bytes | None:
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        try:
            connection.request("GET", f"/{folder}/{name}")
            answer = connection.getresponse()
            data = answer.read(LIMIT)
            return data if answer.status == http.HTTPStatus.OK and not answer.length else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    return get


def tag(get: Get, release: str, arch: str, key_print: str, level: int, say: Say) -> Tag:
    """The verified tag. Raises Refusal for anything else, and for one that is older than what runs."""
    say("Fetching public key from update server...")
    key = get("pub.ssl")
    if key is None:
        raise Refusal("failed.\nNo mirrors remaining, giving up.")
    if hashlib.sha256(key).hexdigest() != key_print:
        raise Refusal("key has incorrect hash.\nNo mirrors remaining, giving up.")
    say(f"Fetching metadata signature for {release}...")
    signature = get("latest.ssl")
    if signature is None:
        raise Refusal("failed.\nNo mirrors remaining, giving up.")
    try:
        found = parse_tag(recover(public_key(key), signature), release, arch)
    except (KeyUnreadable, NotSigned) as error:
        raise Refusal("invalid signature.\nNo mirrors remaining, giving up.") from error
    except FetchError as error:
        raise Refusal(f"invalid signature.\n{_REFUSED}") from error
    if found.patch < level:
        raise Refusal(
            f"\nFiles on mirror ({release}-p{found.patch}) appear older than what\n"
            f"we are currently running ({release}-p{level})!\n{_REFUSED}"
        )
    return found


def indexes(get: Get, found: Tag, say: Say) -> tuple[Index, Index]:
    """INDEX-OLD and INDEX-NEW. Raises Refusal."""
    say("Fetching metadata index...")
    table = get(f"t/{found.index}")
    if table is None or hashlib.sha256(table).hexdigest() != found.index:
        raise Refusal(f"failed.\n{found.index} has incorrect hash.")
    names: dict[str, str] = {}
    for line in table.decode("ascii", "replace").splitlines():
        name, _, digest = line.partition("|")
        if not re.fullmatch(r"INDEX-[A-Z]+", name) or not _HASH.fullmatch(digest):
            raise Refusal(f"\nUnknown metadata index entry.\n{_REFUSED}")
        names[name] = digest
    if not {"INDEX-OLD", "INDEX-NEW"} <= names.keys():
        raise Refusal(f"\nMetadata index is incomplete.\n{_REFUSED}")
    say("Fetching 2 metadata files...")
    old, new = (index(_whole(get, "m", names[name])) for name in ("INDEX-OLD", "INDEX-NEW"))
    return old, new


def index(data: bytes) -> Index:
    """Parse metadata; a line in another form ends it all, as the real one's sanity check does."""
    found: Index = {}
    for line in data.decode("utf-8", "replace").splitlines():
        fields = line.split("|")
        if len(fields) != 10 or not fields[2].startswith("/") or ".." in fields[2].split("/"):
            raise Refusal(f"The update metadata is correctly signed, but\nfailed an integrity check.\n{_REFUSED}")
        entry = Entry(*fields)
        sound = entry.kind in "fdL-" and (entry.kind != "f" or _HASH.fullmatch(entry.value))
        if not sound or (entry.kind in "fd" and not re.fullmatch(r"[0-7]{3,5}", entry.mode)):
            raise Refusal(f"The update metadata is correctly signed, but\nfailed an integrity check.\n{_REFUSED}")
        found[entry.path] = entry
    return found


def _whole(get: Get, folder: str, digest: str) -> bytes:
    packed = get(f"{folder}/{digest}.gz")
    data = unpacked(packed) if packed is not None else None
    if data is None or hashlib.sha256(data).hexdigest() != digest:
        raise Refusal(f"failed.\n{digest} has incorrect hash.")
    return data


def unpacked(data: bytes) -> bytes | None:
    """A gzip file in memory; None when it is damaged or holds more than LIMIT."""
    reader = zlib.decompressobj(31)
    try:
        whole = reader.decompress(data, LIMIT)
    except zlib.error:
        return None
    return whole if reader.eof and not reader.unused_data else None


def content(get: Get, digest: str, old: bytes | None) -> bytes:
    """A file by the SHA256 of its content: patched from what is here, else whole. Raises Refusal."""
    if old is not None:
        change = get(f"bp/{hashlib.sha256(old).hexdigest()}-{digest}")
        data = patched(old, change) if change is not None else None
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            return data
    return _whole(get, "f", digest)


def patched(old: bytes, change: bytes) -> bytes | None:
    """Apply a patch of bsdiff(1); None when it is damaged."""
    try:
        if change[:8] != b"BSDIFF40":
            return None
        sizes = [_number(change[at : at + 8]) for at in (8, 16, 24)]
        if min(sizes) < 0 or sizes[2] > LIMIT or 32 + sizes[0] + sizes[1] > len(change):
            return None
        cuts = (32, 32 + sizes[0], 32 + sizes[0] + sizes[1], len(change))
        control, differences, extra = (_unzipped(change[a:b]) for a, b in pairwise(cuts))
        return _applied(old, control, differences, extra, sizes[2])
    except (OSError, ValueError, EOFError, struct.error, IndexError):
        return None


def _applied(old: bytes, control: bytes, differences: bytes, extra: bytes, size: int) -> bytes | None:
    out = bytearray()
    here = there = more = 0
    for at in range(0, len(control), 24):
        add, copy, skip = (_number(control[at + n : at + n + 8]) for n in (0, 8, 16))
        if add < 0 or copy < 0 or len(out) + add + copy > size:
            return None
        piece = old[max(here, 0) : here + add]
        if len(piece) != add or len(differences) < there + add or len(extra) < more + copy:
            return None
        out += bytes((a + b) & 0xFF for a, b in zip(piece, differences[there : there + add], strict=True))
        out += extra[more : more + copy]
        here, there, more = here + add + skip, there + add, more + copy
    return bytes(out) if len(out) == size else None


def _unzipped(data: bytes) -> bytes:
    reader = bz2.BZ2Decompressor()
    return reader.decompress(data, LIMIT)


def _number(data: bytes) -> int:
    """A number of eight bytes: the sign in the highest bit, the amount in the others."""
    (value,) = struct.unpack("<Q", data)
    return -(value & (2**63 - 1)) if value >> 63 else int(value)


def filtered(found: Index, components: Iterable[str]) -> Index:
    """The lines of the components that are wanted: `world`, or `world/base`."""
    wanted = frozenset(components)
    return {p: e for p, e in found.items() if {e.component, f"{e.component}/{e.subcomponent}"} & wanted}


def decided(old: Index, new: Index, present: Index, unmodified: Iterable[str]) -> tuple[Index, Index, list[str]]:
    """What is to be replaced and by what (INDEX-OLD and INDEX-NEW as installed), and what was changed locally.

    Where a path begins with one of `unmodified`, what is there must be what either index has. What is not there, and
    was there in the old release, stays away.
    """
    prefixes = tuple(unmodified)
    before: Index = {}
    after: Index = {}
    modified: list[str] = []
    for path in sorted({*old, *new}):
        was, now, here = old.get(path), new.get(path), present.get(path)
        known = {(e.kind, e.value) for e in (was, now) if e is not None}
        if was is not None and now is not None and _same(was, now):
            continue
        if here is None and (was is None or was.kind != "-"):
            continue
        if here is not None and path.startswith(prefixes) and (here.kind, here.value) not in known:
            modified.append(path)
            continue
        gone = now is None or now.kind == "-"
        if now is not None and here is not None and was is not None and was.kind != "-" and not gone:
            now = replace(now, mode=here.mode if here.mode != was.mode else now.mode)
        if now is not None and not gone and (here is None or not _same(here, now)):
            after[path] = now
        if here is not None and (gone or path in after):
            before[path] = here
    return before, after, modified


def _same(one: Entry, other: Entry) -> bool:
    return (one.kind, one.mode, one.value) == (other.kind, other.mode, other.value)


def options(text: str) -> Mapping[str, tuple[str, ...]]:
    """freebsd-update.conf(5): words by their option."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        name, *rest = line.partition("#")[0].split() or [""]
        if name:
            found[name] = (*found.get(name, ()), *rest)
    return found
