"""The files that an update server has for one release, as freebsd-update(8) of 15.1 reads them.

`RELEASE/ARCH/`: `pub.ssl`, `latest.ssl` (the signed tag), `t/HASH` (the metadata index), `m/HASH.gz` (metadata:
one line for each path), `f/HASH.gz` (whole files), `bp/OLD-NEW` (patches in the format of bsdiff(1)). A file is
named by the SHA256 of what it holds, before it was compressed.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.hosts.sandbox.signing import SigningKey, tag_files

Tree = Mapping[str, tuple[int, str]]
"""Files by path without a leading slash: mode, text."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is published: `old` and `new` are whole trees; `eol` is in seconds since 1970."""

    release: str
    patch: int
    old: Tree
    new: Tree
    eol: int
    arch: str = "amd64"


def publish(folder: Path, offer: Offer, key: SigningKey) -> None:
    """Write the files of one release below `folder`; those that are there for another level stay."""
    place = folder / offer.release / offer.arch
    for name in ("t", "m", "f", "bp"):
        (place / name).mkdir(parents=True, exist_ok=True)
    index = []
    trees = {"INDEX-ALL": (offer.new, {}), "INDEX-NEW": (offer.new, offer.old), "INDEX-OLD": (offer.old, offer.new)}
    for name, (tree, other) in trees.items():
        data = metadata(tree, other)
        digest = _sha256(data)
        (place / "m" / f"{digest}.gz").write_bytes(_compressed(data))
        index.append(f"{name}|{digest}\n")
    for path, (_mode, text) in offer.new.items():
        if offer.old.get(path, (0, None))[1] != text:
            _put_file(place, text.encode(), offer.old.get(path, (0, None))[1])
    table = "".join(index).encode()
    (place / "t" / _sha256(table)).write_bytes(table)
    for name, data in tag_files(key, offer.release, offer.patch, _sha256(table), offer.eol, offer.arch).items():
        (folder / name).write_bytes(data)


def metadata(tree: Tree, other: Tree) -> bytes:
    """`component|subcomponent|path|type|uid|gid|mode|flags|value|hardlink`, sorted bytewise.

    What only the other index has stands here as absent, by a line of type `-`.
    """
    lines = [
        f"world|base|/{path}|f|0|0|{mode:04o}|0|{_sha256(text.encode())}|\n".encode()
        for path, (mode, text) in tree.items()
    ]
    lines += [f"world|base|/{path}|-||||||\n".encode() for path in other.keys() - tree.keys()]
    return b"".join(sorted(lines))


def _put_file(place: Path, data: bytes, old: str | None) -> None:
    (place / "f" / f"{_sha256(data)}.gz").write_bytes(_compressed(data))
    if old is not None:
        before = old.encode()
        (place / "bp" / f"{_sha256(before)}-{_sha256(data)}").write_bytes(patch(before, data))


def patch(old: bytes, new: bytes) -> bytes:
    """A patch in bsdiff's format (BSDIFF40): one run of differences as long as both, then what is added."""
    common = min(len(old), len(new))
    control = struct.pack("<qqq", common, len(new) - common, 0)
    differences = bytes((b - a) & 0xFF for a, b in zip(old[:common], new[:common], strict=True))
    parts = [bz2.compress(part) for part in (control, differences, new[common:])]
    return b"BSDIFF40" + struct.pack("<qqq", len(parts[0]), len(parts[1]), len(new)) + b"".join(parts)


def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
