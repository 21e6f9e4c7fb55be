"""Base packages and their repositories, in the formats of pkg(8).

A package is a tar, compressed, of `+COMPACT_MANIFEST`, `+MANIFEST` (JSON) and files by absolute names. A repository
has `meta.conf`, and its catalogue twice: `data.pkg` (one JSON object) and `packagesite.pkg` (a manifest in each line).
Each is a tar of the text, of `NAME.sig`, the signature over the hexadecimal SHA256 of the text, and of `NAME.pub`, the
key as it was signed with, whose SHA256 is the fingerprint that clients trust.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox.signing import SigningKey
from reconciler.hosts.sandbox.update_mirror import Tree

FOLDER = "base_release_${VERSION_MINOR}"
"""Where the repository of a release lies below that of its ABI, as pkg.conf(5) has it."""
SIGNER = "sandbox"
_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_META = {
    "version": 2, "packing_format": "txz", "manifests": "packagesite.yaml", "data": "data", "filesite": "filesite.yaml",
    "manifests_archive": "packagesite", "filesite_archive": "filesite",
}  # fmt: skip
Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """One package: its files by path without a leading slash, folders, needs, and which files are configuration."""

    name: str
    version: str
    abi: str
    files: Tree
    folders: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    config: tuple[str, ...] = ()

    def manifest(self, *, compact: bool) -> Manifest:
        """What the package says of itself; compact leaves out what is in it, as catalogues do."""
        said: dict[str, Any] = {
            "name": self.name, "origin": f"base/{self.name}", "version": self.version, "comment": self.name,
            "maintainer": "re@FreeBSD.org", "www": "https://www.FreeBSD.org", "abi": self.abi, "prefix": "/",
            "flatsize": sum(len(text) for _, text in self.files.values()), "categories": ["base"],
        }  # fmt: skip
        if self.needs:
            said["deps"] = {name: {"origin": f"base/{name}", "version": self.version} for name in self.needs}
        if not compact:
            sums = {name: f"1${hashlib.sha256(text.encode()).hexdigest()}" for name, (_, text) in self.files.items()}
            said["files"] = {f"/{name}": digest for name, digest in sorted(sums.items())}
            said["directories"] = {f"/{name}": "y" for name in self.folders}
            said["config"] = [f"/{name}" for name in self.config]
        return said

    def archive(self) -> bytes:
        """The file in a repository."""
        inner = {f"+{'COMPACT_' * compact}MANIFEST": _json(self.manifest(compact=compact)) for compact in (True, False)}
        files = {f"/{name}": (mode, text.encode()) for name, (mode, text) in sorted(self.files.items())}
        return packed({**{name: (0o644, data) for name, data in inner.items()}, **files})


def divided(release: str, level: int, abi: str, tree: Tree, folders: Iterable[str]) -> list[Package]:
    """A tree as packages: what is below usr, the rest, and the sets that name them. A level changes the rest alone."""
    major_minor = release.partition("-")[0]
    new = f"{major_minor}p{level}" if level else major_minor
    parts = {"utilities": {n: e for n, e in tree.items() if n.startswith("usr/")},
             "runtime": {n: e for n, e in tree.items() if not n.startswith("usr/")}}  # fmt: skip
    config = tuple(name for name in parts["runtime"] if name.startswith(("etc/", "root/")))
    return [
        Package("FreeBSD-runtime", new, abi, parts["runtime"], tuple(folders), config=config),
        Package("FreeBSD-utilities", major_minor, abi, parts["utilities"], needs=("FreeBSD-runtime",)),
        Package("FreeBSD-set-minimal-jail", new, abi, {}, needs=("FreeBSD-runtime",)),
        Package("FreeBSD-set-base-jail", new, abi, {}, needs=("FreeBSD-set-minimal-jail", "FreeBSD-utilities")),
    ]


def publish(folder: Path, packages: Iterable[Package], key: SigningKey | None) -> None:
    """Write a repository whole; without a key nothing is signed."""
    (folder / "All").mkdir(parents=True, exist_ok=True)
    rows = []
    for package in packages:
        path, data = f"All/{package.name}-{package.version}.pkg", package.archive()
        (folder / path).write_bytes(data)
        rows.append(row(package.manifest(compact=True), path, data))
    for name, data in catalogue(rows, key).items():
        (folder / name).write_bytes(data)


def row(manifest: Manifest, path: str, data: bytes) -> Manifest:
    """A package in a catalogue: its compact manifest, where it lies, and what verifies it."""
    return {**manifest, "sum": checksum(data), "path": path, "repopath": path, "pkgsize": len(data)}


def catalogue(rows: Iterable[Manifest], key: SigningKey | None) -> Mapping[str, bytes]:
    """The files of a repository beside its packages."""
    rows = list(rows)
    whole = _json({"groups": [], "expired_packages": [], "packages": rows}) + b"\n"
    lines = b"".join(_json(one) + b"\n" for one in rows)
    meta = "".join(f"{k} = {json.dumps(value)};\n" for k, value in _META.items()).encode()
    return {"meta.conf": meta, "meta": meta, "data.pkg": _signed("data", whole, key),
            "packagesite.pkg": _signed("packagesite.yaml", lines, key)}  # fmt: skip


def _signed(name: str, text: bytes, key: SigningKey | None) -> bytes:
    signature = {} if key is None else {f"{name}.sig": (0o644, sign(key, text)), f"{name}.pub": (0o644, key.pem())}
    return packed({**signature, name: (0o644, text)})


def sign(key: SigningKey, text: bytes) -> bytes:
    """RSA with SHA256 (PKCS #1 v1.5) over the hexadecimal SHA256 of the text."""
    return key.sign(digest_info(text))


def digest_info(text: bytes) -> bytes:
    """What such a signature holds."""
    return _DIGEST_INFO + hashlib.sha256(hashlib.sha256(text).hexdigest().encode()).digest()


def checksum(data: bytes) -> str:
    """A checksum of pkg's second kind: BLAKE2b in its own base 32, the lowest bits first."""
    number = int.from_bytes(hashlib.blake2b(data).digest(), "little")
    return "2$" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(0, 512, 5))


def packed(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A tar of files by name, compressed; the same bytes each time."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, (mode, data) in files.items():
            info = tarfile.TarInfo()
            # TarInfo(name) would leave out the slash that absolute names begin with.
            info.name, info.size, info.mode, info.uname, info.gname = name, len(data), mode, "root", "wheel"
            archive.addfile(info, io.BytesIO(data))
    return lzma.compress(held.getvalue(), preset=0)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
