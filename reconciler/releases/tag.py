"""The signed tag of freebsd-update: the newest patch level of a release and the end of its life.

Two small files of `SERVER/RELEASE/MACHINE/` (freebsd-update(8), the script of 15.1; machine as `uname -m`
says): `pub.ssl`, an RSA public key in PEM whose SHA256 is pinned as KeyPrint, and `latest.ssl`, the tag as
an RSA signature with message recovery (PKCS #1 v1.5, block type 1). The server speaks plain http: all
trust is in the signature. What it says is one line,
`freebsd-update|MACHINE|RELEASE|PATCHNUM|TINDEXHASH|EOLTIME`.

A signature has no date, so an old tag stays valid for ever: whoever replays one hides updates. Therefore a
tag with a lower patch level than one seen before is refused; `Tags` remembers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from reconciler.cache import Cache, open_regular
from reconciler.download import PATIENT, Patience, fetch_bytes
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.releases.rsa import KeyUnreadable, NotSigned, public_key, recover
from reconciler.releases.url import split_mirror
from reconciler.releases.version import Version, parse_version
from reconciler.url import redact

SERVER = "http://update.FreeBSD.org"
KEY_PRINTS = ("800651ef4b4c71c27e60786d7b487188970f4b4169cc055784e21eb71d410cc5",)
"""SHA256 of FreeBSD's pub.ssl: KeyPrint of /etc/freebsd-update.conf, the same from 7.0 to 15.1."""
KEY_LIMIT = 8 * 1024
"""Bytes of pub.ssl; FreeBSD's, with 4096 bits, has 800."""
TAG_LIMIT = 1024
"""Bytes of latest.ssl: as many as the key's modulus, 512 for 4096 bits."""

_LINE = re.compile(
    r"freebsd-update\|(?P<machine>[a-z0-9_]{1,32})\|(?P<release>[A-Z0-9.-]{1,32})\|(?P<patch>[0-9]{1,5})"
    r"\|(?P<index>[0-9a-f]{64})\|(?P<eol>[0-9]{10})\n",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Updates:
    """Where patches of releases come from, and whose signature counts.

    `server` is the URL of the folder that holds RELEASE/MACHINE; `key_prints` are SHA256 digests (64 hex
    digits) of public keys that may sign. `repository` is where base systems made of packages come from, as in
    pkg.conf(5), and `fingerprints` the SHA256 of keys that may sign its catalogue: FreeBSD's own when there are none.
    """

    server: str = SERVER
    key_prints: tuple[str, ...] = KEY_PRINTS
    repository: str = "pkg+https://pkg.FreeBSD.org/${ABI}/base_release_${VERSION_MINOR}"
    fingerprints: tuple[str, ...] = ()

    def url(self, release: str, machine: str, file: str) -> str:
        """The URL of a file of a release. Raises FetchError (`mirror-url-malformed`, `release-name-malformed`)."""
        split_mirror(self.server)
        return "/".join([self.server.rstrip("/"), parse_version(release).release, machine, file])


@dataclass(frozen=True, slots=True)
class Tag:
    """What a verified tag says. `index` is the SHA256 of the metadata index, which lies at `t/INDEX`.

    `patch` is the newest patch level; `eol` is the end of life in seconds since 1970 (UTC).
    """

    machine: str
    release: str
    patch: int
    index: str
    eol: int

    @property
    def version(self) -> Version:
        """The release at its newest patch level."""
        return parse_version(self.release).at(self.patch)

    @property
    def eol_date(self) -> date:
        """The day (UTC) on which support ends."""
        return datetime.fromtimestamp(self.eol, UTC).date()

    def dump(self) -> bytes:
        """The line as it was signed, with its line end."""
        return f"freebsd-update|{self.machine}|{self.release}|{self.patch}|{self.index}|{self.eol:010}\n".encode()


@dataclass(frozen=True, slots=True)
class SignedTag:
    """A tag with what proves it: the bytes of pub.ssl and latest.ssl. `seen` is the day it was fetched (ISO)."""

    tag: Tag
    key: bytes
    signature: bytes
    seen: str


def parse_tag(line: bytes, release: str, machine: str, source: str = "latest.ssl") -> Tag:
    """Read a recovered line, which must speak of this release on this machine.

    Raises FetchError (`update-tag-invalid`); `source` names it there.
    """
    found = _LINE.fullmatch(line.decode("latin-1"))
    if found is None:
        raise FetchError(_invalid(source, f"{line[:80].decode('latin-1')!a} is not the one line of a tag."))
    tag = Tag(found["machine"], found["release"], int(found["patch"]), found["index"], int(found["eol"]))
    if (tag.release, tag.machine) != (release, machine):
        detail = f"It is the tag of {tag.release} for {tag.machine}, not of {release} for {machine}."
        raise FetchError(_invalid(source, detail))
    return tag


def verify_tag(
    key: bytes, signature: bytes, prints: Iterable[str], release: str, machine: str, source: str = "latest.ssl"
) -> Tag:
    """The tag that `signature` (the bytes of latest.ssl) holds, when a key (pub.ssl) that counts made it.

    Raises FetchError: `update-key-untrusted`, `update-tag-invalid`.
    """
    check_key(key, prints, source)
    try:
        line = recover(public_key(key), signature)
    except (KeyUnreadable, NotSigned) as error:
        raise FetchError(_invalid(source, f"{error}.")) from error
    return parse_tag(line, release, machine, source)


def check_key(key: bytes, prints: Iterable[str], source: str = "pub.ssl") -> str:
    """The SHA256 of a public key's file, when it is pinned. Raises FetchError (`update-key-untrusted`)."""
    actual = hashlib.sha256(key).hexdigest()
    if actual not in prints:
        raise FetchError(
            Diagnostic(
                "update-key-untrusted",
                "The update server's key is not one that is trusted",
                f"{redact(source)}: the key has the SHA256 {actual}; trusted are {', '.join(prints) or 'none'}.",
                "Use FreeBSD's server; for one of your own, give its key's SHA256 as `updates.key_prints`.",
            )
        )
    return actual


def refuse_older(tag: Tag, level: int, source: str = "latest.ssl") -> None:
    """Refuse a tag below a patch level that is known to exist. Raises FetchError (`update-tag-replayed`)."""
    if tag.patch < level:
        raise FetchError(
            Diagnostic(
                "update-tag-replayed",
                "The update server is behind what was seen before",
                f"{redact(source)} says that {tag.release} is at patch level {tag.patch}; level {level} is known. "
                "The server is out of date, or somebody replays an old answer to hide updates.",
                "Try again later, or use another update server.",
            )
        )


class Tags:
    """Tags that were fetched and verified, in the folder of downloads: the memory against replays.

    A file is verified again whenever it is read, so only losing it loses something: the next tag is then
    taken as it comes, unless the caller knows of a level.
    """

    def __init__(self, cache: Cache, updates: Updates) -> None:
        """Keep them in this cache, by the key that signed them."""
        self.cache, self.updates = cache, updates

    def known(self, release: str, machine: str) -> SignedTag | None:
        """The newest tag seen of a release, without any network; None where none was."""
        found = [self._read(release, machine, key_print) for key_print in self.updates.key_prints]
        return max((item for item in found if item is not None), key=lambda item: item.tag.patch, default=None)

    def fetch(self, release: str, machine: str, today: str, level: int = 0, patience: Patience = PATIENT) -> SignedTag:
        """Ask the server: two downloads and one signature. `today` is the date (ISO), `level` one known to exist.

        Raises DownloadError (`download.fetch_bytes`; transient ones are for `wraps.retry`) and FetchError:
        `update-key-untrusted`, `update-tag-invalid`, `update-tag-replayed`.
        """
        updates = self.updates
        where = updates.url(release, machine, "latest.ssl")
        known = self.known(release, machine)
        source = updates.url(release, machine, "pub.ssl")
        key = fetch_bytes(source, limit=KEY_LIMIT, patience=patience)
        key_print = check_key(key, updates.key_prints, source)
        signature = fetch_bytes(where, limit=TAG_LIMIT, patience=patience)
        tag = verify_tag(key, signature, updates.key_prints, release, machine, where)
        refuse_older(tag, max(level, known.tag.patch if known else 0), where)
        note = {"key": key.decode("ascii"), "signature": signature.hex(), "seen": today}
        self.cache.put(self._path(release, machine, key_print), json.dumps(note).encode())
        return SignedTag(tag, key, signature, today)

    def _read(self, release: str, machine: str, key_print: str) -> SignedTag | None:
        try:
            with open_regular(self._path(release, machine, key_print)) as file:
                note = json.loads(file.read(4 * KEY_LIMIT))
            key, signature = note["key"].encode("ascii"), bytes.fromhex(note["signature"])
            tag = verify_tag(key, signature, (key_print,), release, machine)
            return SignedTag(tag, key, signature, date.fromisoformat(note["seen"]).isoformat())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, FetchError):
            return None

    def _path(self, release: str, machine: str, key_print: str) -> Path:
        name = hashlib.sha256(f"{release}|{machine}|{key_print}".encode()).hexdigest()
        return self.cache.folder / f"tag-{name}"


def _invalid(source: str, detail: str) -> Diagnostic:
    return Diagnostic(
        "update-tag-invalid",
        "The update server's tag does not hold",
        f"{redact(source)}: {detail} Nothing of it was used.",
        "Try again later, or use another update server.",
    )
