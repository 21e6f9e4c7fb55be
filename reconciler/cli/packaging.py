"""What the verbs of `reconcile package` print of packages."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from reconciler.cache import bare_digest
from reconciler.cli.paper import many, size
from reconciler.cli.show import visible
from reconciler.packages.archive import PACKAGE, Summary
from reconciler.packages.checked import check_file
from reconciler.packages.compress import SUFFIX, Compression
from reconciler.packages.delta import Difference, differences
from reconciler.packages.inspect import checked_digest
from reconciler.packages.manifest import Manifest
from reconciler.packages.read import check_package
from reconciler.packages.signature import Trust, bare_key, check_signature, read_signature
from reconciler.packages.tree import Entry, key
from reconciler.packages.write import digest_file

_BITS = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO}


def summary(manifest: Manifest) -> Iterator[str]:
    """What a package is, in some lines."""
    entries, deletions = manifest.change.entries, manifest.change.deletions
    total = sum(entry.size for entry in entries if entry.has_content)
    rows = {
        "package": f"{manifest.name} {manifest.version}",
        "for": f"{manifest.release} {manifest.levels}, {manifest.arch}",
        "abi": manifest.abi,
        "made on": manifest.base,
        "made by": manifest.creator,
        "brings": f"{many(len(entries), 'name')}, {size(total)}",
        "deletes": many(len(deletions), "name") if deletions else "nothing",
    }
    for name, value in rows.items():
        if value:
            yield f"{name + ':':<10}{visible(value)}"


def listing(manifest: Manifest) -> Iterator[str]:
    """Every name that it brings, as `ls -l` shows them, and every one that it deletes."""
    for entry in manifest.change.entries:
        yield line(entry)
    for path in manifest.change.deletions:
        yield f"{'deleted':<35}  {readable(path)}"


def line(entry: Entry) -> str:
    """One name: mode, owner, group, bytes, path, and what is special about it."""
    more = f" -> {readable(entry.target)}" if entry.target else ""
    if entry.links and not entry.has_content:
        more = f" is {readable(entry.links)}"
    if marks := [
        *entry.flags,
        *(f"{visible(name)}=..." for name, _value in entry.xattrs),
        *(["acl"] if entry.acl else []),
    ]:
        more += f" [{' '.join(marks)}]"
    mode = stat.filemode(entry.mode | _BITS[entry.type])
    return f"{mode} {entry.uid:>5} {entry.gid:>5} {entry.size:>12}  {readable(entry.path)}{more}"


def readable(path: str) -> str:
    """A path as it can be printed anywhere: what is no text is escaped."""
    return visible(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of a good package. `told` says whether a .sha256 lies beside it; `signer` is a fingerprint, ""
    where no key was given to check one with. `manifest` is None for the first format."""

    path: Path
    sha256: str
    told: bool
    signed: bool
    signer: str
    summary: Summary
    manifest: Manifest | None = None

    @property
    def title(self) -> str:
        """What it is called."""
        made = self.manifest
        return f"{made.name} {made.version}" if made else "a package of the first format"

    def facts(self) -> dict[str, object]:
        """The same for programs."""
        made = self.manifest
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "format": 2 if made else 1,
            "name": made.name if made else None,
            "version": made.version if made else None,
            "members": self.summary.members,
            "bytes": self.summary.content,
            "signed": self.signed,
            "signer": self.signer or None,
        }


def verdict(path: Path, digest: str, trust: Trust) -> Verdict:
    """Check all of a package that lies here. Raises FetchError for the first thing that is wrong with it."""
    sha256 = checked_digest(path, bare_digest(digest) if digest else "")
    signature = read_signature(path)
    signer = check_signature(path, path.name, signature, trust)
    package = check_package(path)
    if package is None:
        summary = check_file(path, PACKAGE)
    else:
        entries = package.manifest.change.entries
        summary = Summary(len(entries), sum(e.size for e in entries if e.has_content), package.compression)
    told = digest_file(path).exists()
    return Verdict(path, sha256, told, signature is not None, signer, summary, package.manifest if package else None)


def lines(found: Verdict) -> Iterator[str]:
    """A verdict for people."""
    yield f"{visible(str(found.path))}: good"
    yield f"  {found.title}, {many(found.summary.members, 'name')}, {size(found.summary.content)} unpacked"
    yield f"  sha256:{found.sha256}" + ("" if found.told else "  (no .sha256 lies beside it)")
    if found.signer:
        yield f"  signed by {found.signer}"
    elif found.signed:
        yield "  signed, and not checked by whom: give --key FILE.pub"
    else:
        yield "  not signed"
    if found.manifest is None:
        yield "  first format: it does not say what it is for, nor what it deletes"


def keys(files: list[Path]) -> Trust:
    """The keys that files hold, one on each line, `#` before a comment. A key that is asked for must have signed."""
    found = []
    for path in files:
        try:
            text = path.read_text()
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"--key {path}: {error}") from error
        found += [bare_key(line) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return Trust(tuple(found), required=bool(files))


def compression_named(word: str) -> Compression:
    """The compression of that name. Raises typer.BadParameter."""
    for known in SUFFIX:
        if word == known:
            return known
    raise typer.BadParameter(f"--compression takes {' or '.join(SUFFIX)}, and {word!r} is neither.")


def compared(one: Manifest, other: Manifest) -> tuple[dict[str, tuple[str, str]], tuple[Difference, ...]]:
    """What two packages say otherwise of themselves, and how their files differ. Deletions are lines too."""
    said = {}
    for name in ("name", "version", "release", "levels", "arch", "abi", "base"):
        before, after = getattr(one, name), getattr(other, name)
        if before != after:
            said[name.replace("levels", "patch levels")] = (before or "none", after or "none")
    found = list(differences(one.tree(), other.tree()))
    gone, now = set(one.change.deletions), set(other.change.deletions)
    found += [Difference("-", path, "deletion") for path in gone - now]
    found += [Difference("+", path, "deletion") for path in now - gone]
    return said, tuple(sorted(found, key=lambda d: (key(d.path), d.what)))
