"""What turns one tree into another, and what applying that means. Pure.

A name whose entry differs in anything is carried whole, content included: nothing at the other end has to be
right for the result to be. Applied are first the deletions, deepest first, then the entries in their order.
A name that changes its type is deleted before it is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconciler.packages.tree import Entry, Tree, key, ordered, regrouped


@dataclass(frozen=True, slots=True)
class Delta:
    """`entries` to make or to put in place of what is there, and `deletions`; both sorted by path."""

    entries: tuple[Entry, ...] = ()
    deletions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(self.entries or self.deletions)


def delta(before: Tree, after: Tree) -> Delta:
    """What is to be done to `before` to have `after`; empty when they are equal.

    All names of a file with several go together when one of them changes: an archive links only to what it holds.
    """
    changed = {path for path, entry in after.items() if before.get(path) != entry}
    torn = {after[path].links for path in changed} - {""}
    changed |= {path for path, entry in after.items() if entry.links in torn}
    retyped = (path for path in changed if path in before and before[path].type != after[path].type)
    gone = (path for path in before if path not in after)
    return Delta(ordered(after[path] for path in changed), tuple(sorted([*gone, *retyped], key=key)))


def apply(tree: Tree, change: Delta) -> dict[str, Entry]:
    """The tree that comes of it. Raises ValueError where a folder that is deleted keeps something.

    A file that is replaced leaves its other names with what they had.
    """
    made = dict(tree)
    for path in change.deletions:
        made.pop(path, None)
    carried = {entry.path: entry for entry in change.entries}
    made.update(carried)
    _refuse_orphans(made, change.deletions)
    groups: dict[tuple[bool, str], list[str]] = {}
    for path, entry in made.items():
        if entry.links:
            groups.setdefault((path in carried, entry.links), []).append(path)
    links = regrouped(groups.values())
    return {path: _linked(entry, links.get(path, "")) for path, entry in made.items()}


def removals(change: Delta) -> tuple[str, ...]:
    """What must go, in this order, before the entries are unpacked by a tar that writes into what it finds.

    That is each deletion, and each file, link and pipe that is made anew: another name of the old file must not
    get the new content, and an immutable file cannot be overwritten. Folders that stay are not among them.
    """
    replaced = (entry.path for entry in change.entries if entry.type != "directory")
    return tuple(sorted({*change.deletions, *replaced}, key=key, reverse=True))


def _linked(entry: Entry, links: str) -> Entry:
    return entry if entry.links == links else replace(entry, links=links)


def _refuse_orphans(tree: Tree, deletions: Iterable[str]) -> None:
    gone = {path for path in deletions if path not in tree or tree[path].type != "directory"}
    for path in tree:
        parent = path.rpartition("/")[0]
        if parent in gone:
            raise ValueError(f"{path} lies below {parent}, which is deleted")


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of what distinguishes two trees: `+` new, `-` gone, `~` other content, `m` only what is said of it."""

    sign: str
    path: str
    what: str


def differences(before: Tree, after: Tree) -> tuple[Difference, ...]:
    """What distinguishes two trees, for people, by path."""
    found = []
    for path in sorted({*before, *after}, key=key):
        old, new = before.get(path), after.get(path)
        if old is None:
            found.append(Difference("+", path, new.type if new else ""))
        elif new is None:
            found.append(Difference("-", path, old.type))
        elif old != new:
            sign = "m" if old.content() == new.content() else "~"
            found.append(Difference(sign, path, ", ".join(_fields(old, new))))
    return tuple(found)


def _fields(old: Entry, new: Entry) -> Iterable[str]:
    if old.type != new.type:
        yield f"{old.type} → {new.type}"
        return
    for name in ("mode", "uid", "gid", "size", "target", "links", "flags", "xattrs", "acl", "mtime", "sha256"):
        one, other = getattr(old, name), getattr(new, name)
        if one == other or (name == "sha256" and old.size != new.size):
            continue
        if name == "mode":
            yield f"mode {one:04o} → {other:04o}"
        elif name == "flags":
            yield f"flags {','.join(one) or 'none'} → {','.join(other) or 'none'}"
        elif name in ("xattrs", "acl"):
            yield name
        elif name == "sha256":
            yield "content"
        else:
            yield f"{name} {one if one != '' else 'none'} → {other if other != '' else 'none'}"
