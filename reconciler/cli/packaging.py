"""What the verbs of `reconcile package` print of packages."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from reconciler.cli.paper import many, size
from reconciler.cli.show import visible
from reconciler.packages.manifest import Manifest
from reconciler.packages.tree import Entry

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
