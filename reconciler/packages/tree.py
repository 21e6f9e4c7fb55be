"""A tree of files as plain values: what a package holds, and what is compared to make one.

Paths are relative, without `./`, with `/` between components; bytes that are no UTF-8 stand in them as
Python's surrogate escapes (PEP 383), so that every name of a file system has exactly one text.
The root's own folder is `.`, which can neither come nor go.
Times are whole seconds, and those of regular files alone: the time of a folder says when a name in it
changed last, and so changes with everything that is applied to it.
Sources: chflags(2), fflagstostr(3), extattr(9).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.model.diagnostic import Diagnostic, FetchError

Type = Literal["file", "directory", "symlink", "fifo"]
TOP = "."
"""The path of the root itself."""
TYPES: tuple[Type, ...] = ("file", "directory", "symlink", "fifo")
FLAGS = frozenset({
    "arch", "nodump", "opaque", "sappnd", "schg", "snapshot", "sunlnk", "uappnd", "uarch", "uchg", "uhidden",
    "uoffline", "urdonly", "ureparse", "usparse", "usystem", "uunlnk",
})  # fmt: skip
"""Names of file flags as fflagstostr(3) gives them, without the leading `no` of their absence."""
UNRECORDED = frozenset({"arch", "uarch", "ureparse", "uoffline", "usparse"})
"""Flags that a file system sets by itself: ZFS puts uarch on all that was written."""
MAX_ID = 0xFFFFFFFF
MAX_SIZE = 1 << 46
MAX_TIME = 1 << 40
MAX_XATTRS = 64 * 1024
"""Bytes of all extended attributes of one file."""
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_XATTR = re.compile(r"(?:user|system)\.[^\x00-\x20=/\x7f-\x9f]{1,255}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name. `mode` has the twelve permission bits; `size` (bytes), `sha256` (hex) and `mtime` (s) are a file's.

    `target` is a symlink's. `links` is the first name, in the order of bytes, of the file that this is another
    name of, and "" for a file with one name. `acl` is an NFSv4 ACL as libarchive writes it, "" where the mode says
    all. Extended attributes are named `user.NAME` or `system.NAME`.
    """

    path: str
    type: Type
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""
    links: str = ""
    flags: tuple[str, ...] = ()
    xattrs: tuple[tuple[str, bytes], ...] = ()
    acl: str = ""

    def content(self) -> tuple[str, int, str, str]:
        """What the name holds, without what is said about it."""
        return (self.type, self.size, self.sha256, self.target)

    @property
    def has_content(self) -> bool:
        """Whether an archive carries its bytes: a regular file, under the first of its names."""
        return self.type == "file" and self.links in ("", self.path)


Tree = Mapping[str, Entry]
"""Entries by their path. The root itself is not among them."""


def key(path: str) -> bytes:
    """What paths are sorted by: their bytes, so that every machine has the same order and parents come first."""
    return path.encode("utf-8", "surrogateescape")


def ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries in the order of their paths."""
    return tuple(sorted(entries, key=lambda entry: key(entry.path)))


def regrouped(names: Iterable[Iterable[str]]) -> dict[str, str]:
    """`links` of each name, from the groups of names that are one file each."""
    found: dict[str, str] = {}
    for group in names:
        paths = sorted(group, key=key)
        if len(paths) > 1:
            found.update(dict.fromkeys(paths, paths[0]))
    return found


def fault(entry: Entry) -> str:
    """Why an entry cannot be: "" when nothing is wrong with it by itself. Names are judged by `archive`."""
    if entry.type not in TYPES:
        return "it is of an unknown type"
    if not (0 <= entry.mode <= 0o7777 and 0 <= entry.uid <= MAX_ID and 0 <= entry.gid <= MAX_ID):
        return "its mode, owner or group is out of range"
    if not (0 <= entry.mtime <= MAX_TIME and 0 <= entry.size <= MAX_SIZE):
        return "its time or size is out of range"
    return _fault_of_kind(entry) or _fault_of_marks(entry)


def _fault_of_kind(entry: Entry) -> str:
    is_file, is_link = entry.type == "file", entry.type == "symlink"
    if is_file != bool(_HEX.fullmatch(entry.sha256)) or (not is_file and entry.sha256):
        return "a file has a SHA256 of 64 hexadecimal digits, and nothing else has one"
    if not is_file and (entry.size or entry.mtime or entry.links):
        return "only a file has size, time and links"
    if is_link != bool(entry.target):
        return "a symlink has a target, and nothing else has one"
    return ""


def _fault_of_marks(entry: Entry) -> str:
    if set(entry.flags) - FLAGS or list(entry.flags) != sorted(set(entry.flags)):
        return "its flags are unknown, repeated or out of order"
    names = [name for name, _value in entry.xattrs]
    if names != sorted(set(names)) or not all(_XATTR.fullmatch(name) for name in names):
        return "its extended attributes are unknown, repeated or out of order"
    if sum(len(name) + len(value) for name, value in entry.xattrs) > MAX_XATTRS or len(entry.acl) > MAX_XATTRS:
        return "its extended attributes or ACL are too long"
    if not (entry.acl.isascii() and all(c.isprintable() or c == "\n" for c in entry.acl)):
        return "its ACL is no text"
    return ""


def recorded_flags(names: Iterable[str]) -> tuple[str, ...]:
    """Flags as an entry has them, without those that a file system sets by itself."""
    return tuple(sorted(set(names) - UNRECORDED))


def as_type(name: str) -> Type | None:
    """The type of that name, None where there is none."""
    return next((kind for kind in TYPES if kind == name), None)


def unrecordable(found: Iterable[tuple[str, str]]) -> FetchError:
    """The error of what no package can hold, all of it: (path, what it is)."""
    every = sorted(found)
    shown = "\n".join(f"  {path!a}: {what}" for path, what in every[:50])
    more = f"\n  and {len(every) - 50} more" if len(every) > 50 else ""
    return FetchError(
        Diagnostic(
            "package-unrecordable",
            "Something in the tree cannot be put into a package",
            f"A package holds files, folders, symbolic links and named pipes. It cannot hold:\n{shown}{more}",
            "Stop what makes them, and remove them; or leave them out: package build ... --ignore PATTERN",
        )
    )
