"""What pkg(8) does with the files of a repository: nothing is used before its signature or checksum holds.

Pure but for `get`, which gives a file of the repository. Refusals are in pkg's words.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import tarfile
from collections.abc import Mapping
from typing import Any

from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.base_mirror import checksum, digest_info
from reconciler.hosts.sandbox.update_client import Get
from reconciler.releases.rsa import KeyUnreadable, NotSigned, public_key, recover

LIMIT = 256 * 1024 * 1024
_VERSION = re.compile(rb"^\s*version\s*=\s*([0-9]+)\s*;?\s*$", re.MULTILINE)
_FINGERPRINT = re.compile(rb'^\s*(function|fingerprint)\s*[:=]\s*"?([0-9a-z]+)"?\s*;?\s*$', re.MULTILINE)
Row = dict[str, Any]


def fingerprint(text: bytes) -> str:
    """What a file in `trusted` or `revoked` names: 64 hexadecimal digits, or nothing."""
    words = {name: value.decode() for name, value in _FINGERPRINT.findall(text)}
    return words.get(b"fingerprint", "") if words.get(b"function") == "sha256" else ""


def catalogue(get: Get, name: str, trusted: frozenset[str] | None) -> list[Row]:
    """The packages of a repository; `trusted` are fingerprints, None where its configuration asks for no signature.

    As pkg does: `data.pkg`, or where that cannot be used `packagesite.pkg`. Raises Refusal.
    """
    meta = get("meta.conf")
    version = _VERSION.search(meta) if meta is not None else None
    if meta is not None and (version is None or int(version[1]) != 2):
        raise Refusal("repository meta has wrong version or wrong format\n" + _unable(name))
    refused = Refusal(_unable(name))
    for file, inner in (("data.pkg", "data"), ("packagesite.pkg", "packagesite.yaml")):
        packed = get(file)
        try:
            if packed is None:
                raise Refusal(f"{file}: Not Found")
            text = verified(packed, inner, trusted)
            lines = [text] if inner == "data" else text.splitlines()
            read = [json.loads(line) for line in lines]
            return [_row(one) for one in (read[0]["packages"] if inner == "data" else read)]
        except Refusal as refusal:
            refused = Refusal(f"{refusal.message}\n{_unable(name)}")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            refused = Refusal(f"Invalid data\n{_unable(name)}")
    raise refused


def verified(packed: bytes, name: str, trusted: frozenset[str] | None) -> bytes:
    """The text in an archive of a catalogue. Raises Refusal."""
    files = unpacked(packed)
    if name not in files:
        raise Refusal("Repo extraction failed")
    text = files[name]
    if trusted is None:
        return text
    signature, key = files.get(f"{name}.sig"), files.get(f"{name}.pub")
    if signature is None or key is None:
        raise Refusal("No signature found")
    if hashlib.sha256(key).hexdigest() not in trusted:
        raise Refusal("No trusted public keys found")
    try:
        held = recover(public_key(key), signature)
    except (KeyUnreadable, NotSigned) as error:
        raise Refusal("rsa signature verification failure") from error
    if held != digest_info(text):
        raise Refusal("rsa signature verification failure")
    return text


def unpacked(data: bytes) -> Mapping[str, bytes]:
    """The files of an archive by name. Raises Refusal for one that is damaged, cut short or too large."""
    try:
        reader = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=LIMIT)
        whole = reader.decompress(data, LIMIT)
        if not reader.eof or reader.unused_data:
            raise Refusal("Repo extraction failed")
        with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
            return {info.name: _content(archive, info) for info in archive.getmembers() if info.isreg()}
    except (lzma.LZMAError, tarfile.TarError, EOFError) as error:
        raise Refusal("Repo extraction failed") from error


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(info)
    return stream.read() if stream is not None else b""


def modes(data: bytes) -> Mapping[str, int]:
    """The mode of each file of a package."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(data))) as archive:
        return {info.name: info.mode for info in archive.getmembers()}


def package(get: Get, row: Row) -> bytes:
    """A package's file, as the catalogue has it. Raises Refusal."""
    full = f"{row['name']}-{row['version']}"
    data = get(row["repopath"])
    if data is None:
        raise Refusal(f"{full} missing from repository")
    if len(data) != row["pkgsize"]:
        raise Refusal(f"cached package {full}: missing or size mismatch, cannot continue")
    if checksum(data) != row["sum"]:
        raise Refusal(f"{full} failed checksum from repository")
    return data


def _row(manifest: Row) -> Row:
    """A package of a catalogue. Raises KeyError, TypeError or ValueError for one that lacks what is needed."""
    path = str(manifest.get("repopath", manifest["path"]))
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(path)
    return {**manifest, "name": str(manifest["name"]), "version": str(manifest["version"]), "repopath": path,
            "needs": sorted(manifest.get("deps", {})), "sum": str(manifest["sum"]),
            "pkgsize": int(manifest["pkgsize"])}  # fmt: skip


def _unable(name: str) -> str:
    return f"Unable to update repository {name}"
