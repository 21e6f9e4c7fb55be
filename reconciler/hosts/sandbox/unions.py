"""unionfs(4): a folder laid over what is mounted at a place, so that only the folder is written.

The tree that is shown is made when it is mounted, and what was changed in it is put into the upper folder when it is
unmounted, with what a union loses: what was there below loses flags and extended attributes when it is copied up, and
is no hard link of its other names any more. Names that went are kept as whiteouts beside the upper tree, for the file
systems that have them; the others are refused at once, where FreeBSD would refuse each deletion (EOPNOTSUPP).
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.hosts.sandbox.content import copy_entry, copy_tree, remove_tree
from reconciler.hosts.sandbox.sidecar import Meta, Sidecar

WHITEOUTS = frozenset({"tmpfs", "ufs"})
"""File systems that have whiteouts (VOP_WHITEOUT)."""
Spot = tuple[Path, str]
"""A tree, and a path in it; "" for the tree itself."""


def lay(merged: Path, lower: Spot, upper: Spot, *, writable: bool) -> None:
    """Make the tree that a union of these two shows."""
    merged.parent.mkdir(parents=True, exist_ok=True)
    copy_tree(lower[0] / lower[1], merged, {}, "")
    notes = Sidecar(merged)
    _remember(notes, lower)
    for path in _whiteouts(upper):
        remove_tree(merged / path)
        notes.drop(path)
    linked: dict[int, str] = {}
    for path, info in _infos(upper[0] / upper[1]):
        target = merged / path
        if not stat.S_ISDIR(info.st_mode):
            notes.drop(path)
        _put(upper[0] / upper[1] / path, target, info, linked)
    _remember(notes, upper)
    notes.flush()
    if writable:
        _break_links(merged)


def settle(merged: Path, lower: Spot, upper: Spot) -> None:
    """Put what differs from the lower tree into the upper folder, and only that."""
    below, above = Sidecar(lower[0]), Sidecar(merged)
    notes, root, base = Sidecar(upper[0]), upper[0] / upper[1], lower[0] / lower[1]
    for entry in list(os.scandir(root)):
        remove_tree(Path(entry.path))
        notes.drop(_join(upper[1], entry.name))
    before, linked = dict(_infos(base)), dict[int, str]()
    now = dict(_infos(merged))
    for path, info in now.items():
        old = before.get(path)
        was = _said(below, lower, path) if old is not None else None
        meta = _said(above, (merged, ""), path)
        if old is not None and was == meta and _same(base / path, old, merged / path, info):
            continue
        _shadow(merged, root, path, notes, above, upper[1])
        _put(merged / path, root / path, info, linked)
        if was is not None:
            for mark in ("flags", "xattrs"):
                if meta.get(mark) == was.get(mark):
                    meta.pop(mark, None)  # type: ignore[misc]
        _note(notes, _join(upper[1], path), meta)
    gone = [path for path in before if path not in now and os.path.dirname(path) in {"", *now}]
    others = [path for path in _read(upper[0]) if not _below(path, upper[1])]
    _white(upper[0]).write_text(json.dumps([*others, *(_join(upper[1], path) for path in gone)]))
    notes.flush()


def forget(tree: Path) -> None:
    """Remove the whiteouts of a tree that goes."""
    _white(tree).unlink(missing_ok=True)


def _infos(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder with its path, parents first; sockets are left out."""
    pending = [""]
    while pending:
        here = pending.pop()
        for entry in sorted(os.scandir(folder / here), key=lambda found: found.name):
            info = entry.stat(follow_symlinks=False)
            path = _join(here, entry.name)
            if stat.S_ISSOCK(info.st_mode):
                continue
            yield path, info
            if stat.S_ISDIR(info.st_mode):
                pending.append(path)


def _same(old: Path, was: os.stat_result, new: Path, now: os.stat_result) -> bool:
    if stat.S_IFMT(was.st_mode) != stat.S_IFMT(now.st_mode):
        return False
    if stat.S_ISLNK(now.st_mode):
        return os.readlink(old) == os.readlink(new)
    return not stat.S_ISREG(now.st_mode) or (was.st_size, was.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def _put(old: Path, new: Path, info: os.stat_result, linked: dict[int, str]) -> None:
    """Copy one entry, without what is in it, over whatever is there."""
    if stat.S_ISDIR(info.st_mode):
        if new.is_symlink() or not new.is_dir():
            remove_tree(new)
            new.mkdir()
        os.chmod(new, stat.S_IMODE(info.st_mode) | 0o700)
        return
    remove_tree(new)
    copy_entry(str(old), str(new), info, linked)


def _shadow(merged: Path, root: Path, path: str, notes: Sidecar, above: Sidecar, inside: str) -> None:
    """The folders above a path, as the union has them: mode and owner, nothing else."""
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        if not (root / folder).is_dir():
            _put(merged / folder, root / folder, os.lstat(merged / folder), {})
            meta = _said(above, (merged, ""), folder)
            _note(notes, _join(inside, folder), Meta(uid=meta["uid"], gid=meta["gid"], mode=meta["mode"]))


def _said(notes: Sidecar, spot: Spot, path: str) -> Meta:
    """What the machine shows of a path."""
    inside = _join(spot[1], path)
    known = notes.get(inside)
    return Meta(
        uid=known.get("uid", 0), gid=known.get("gid", 0), mode=notes.mode(inside),
        flags=sorted(known.get("flags", [])), xattrs=dict(known.get("xattrs", {})),
    )  # fmt: skip


def _note(notes: Sidecar, inside: str, meta: Meta) -> None:
    real = stat.S_IMODE(os.lstat(notes.tree / inside).st_mode)
    notes.put(inside, Meta(**{**meta, "real": real}))


def _remember(notes: Sidecar, spot: Spot) -> None:
    for inside, meta in Sidecar(spot[0]).all().items():
        if _below(inside, spot[1]) and inside != spot[1]:
            notes.put(inside[len(spot[1]) + 1 :] if spot[1] else inside, meta)


def _break_links(tree: Path) -> None:
    """Each name its own file: a union copies up the one name that is written to."""
    for path, info in list(_infos(tree)):
        if stat.S_ISREG(info.st_mode) and info.st_nlink > 1:
            old = tree / path
            new = old.with_name(f".union-{secrets.token_hex(8)}")
            copy_entry(str(old), str(new), info, {})
            os.replace(new, old)


def _white(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.white")


def _read(tree: Path) -> list[str]:
    try:
        found: list[str] = json.loads(_white(tree).read_text())
    except FileNotFoundError:
        return []
    return found


def _whiteouts(upper: Spot) -> Iterator[str]:
    for path in _read(upper[0]):
        if _below(path, upper[1]):
            yield path[len(upper[1]) + 1 :] if upper[1] else path


def _below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
