"""Whether a manifest's paths are harmless, by the rules of `archive` and some more. Pure.

More than an archive's members, since a manifest also deletes, and since its names are compared with each other as a
file system would that knows no upper and lower case, or normalises Unicode (zfsprops(7): casesensitivity,
normalization): a link and a folder that differ only in that are one there.
"""

from __future__ import annotations

import unicodedata

from reconciler.packages.archive import PACKAGE, Limits, Unpacked, hostile
from reconciler.packages.layout import MANIFEST
from reconciler.packages.manifest import Manifest
from reconciler.packages.tar import Member
from reconciler.packages.tree import TOP, Entry, key


def judge(manifest: Manifest, limits: Limits = PACKAGE) -> None:
    """Refuse what would write, link or delete outside its place. Raises FetchError: `archive-hostile`,
    `archive-too-large`."""
    tree = Unpacked(limits)
    for entry in manifest.change.entries:
        member = _member(entry)
        if tree.add(member) != (b"" if entry.path == TOP else member.name):
            raise hostile(member.name, "a name that can be written shorter")
    named = {key(entry.path) for entry in manifest.change.entries}
    for path in map(key, manifest.change.deletions):
        if tree.path(path, path) != path:
            raise hostile(path, "a deletion whose name can be written shorter")
        if path in tree.kinds and path not in named:
            raise hostile(path, "it deletes the folder of what it brings")
    if MANIFEST.encode() in tree.kinds or MANIFEST in manifest.change.deletions:
        raise hostile(MANIFEST.encode(), "the name of the manifest itself")
    _refuse_lookalikes(tree)


def _member(entry: Entry) -> Member:
    linked = entry.type == "file" and not entry.has_content
    size = entry.size if entry.has_content else 0
    target = entry.links if linked else entry.target
    return Member(key(entry.path), "hardlink" if linked else entry.type, size, size, key(target), entry.mode)


def _refuse_lookalikes(tree: Unpacked) -> None:
    seen: dict[str, str] = {}
    for path, kind in tree.kinds.items():
        text = path.decode("utf-8", "surrogateescape")
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())
        other = seen.get(folded)
        if other is not None and (other != kind or kind not in ("directory", "file")):
            raise hostile(path, f"but for upper and lower case it has the name of a {other}")
        seen[folded] = kind
