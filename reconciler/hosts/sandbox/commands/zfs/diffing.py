"""zfs diff: what changed between a snapshot and a later one, or the file system now.

As with the real one, each object has one name in the output, however many links it has.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.names import existing
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.sidecar import Sidecar
from reconciler.hosts.sandbox.userland import HIDDEN_NAMES

_LETTERS = {stat.S_IFDIR: "/", stat.S_IFREG: "F", stat.S_IFLNK: "@", stat.S_IFIFO: "|", stat.S_IFSOCK: "="}
_NOT_EARLIER = "Unable to obtain diffs: \n   Not an earlier snapshot from the same fs"


@dataclass(slots=True)
class _Object:
    names: list[str]
    info: os.stat_result
    meta: tuple[object, ...]
    target: str

    @property
    def letter(self) -> str:
        return _LETTERS.get(stat.S_IFMT(self.info.st_mode), "F")


def diff(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs diff [-FHth] snapshot [snapshot|filesystem]."""
    given, operands = options(argv, "FHth", usage("diff"))
    if not operands:
        message = "must provide at least one snapshot name"
        raise Refusal(f"{message}\n{usage('diff')}", 2)
    if len(operands) > 2:
        raise Refusal(f"too many arguments\n{usage('diff')}", 2)
    earlier = operands[0]
    later = operands[1] if len(operands) > 1 else earlier.split("@")[0]
    if later.startswith("@"):
        later = earlier.split("@")[0] + later
    if "@" not in earlier:
        raise Refusal(f"Badly formed snapshot name {earlier}")
    _refuse(machine, existing(machine, earlier), existing(machine, later))
    key = machine.mounts.of(later.split("@")[0])
    if key is None:
        raise Refusal("Cannot diff an unmounted snapshot: operation not applicable to datasets of this type")
    old, new = machine.pool.get(earlier), machine.pool.get(later)
    assert old is not None and new is not None
    if old["content"] == new["content"]:
        return
    target = machine.mounts.table[key]["target"]
    before, after = _objects(machine, old["content"]), _objects(machine, new["content"])
    for when, kind, letter, names, change in sorted(_changes(before, after), key=lambda c: (c[3][-1], c[1] != "-")):
        fields = [f"{when // 10**9}.{when % 10**9:09d}"] if "t" in given else []
        fields += [kind, *([letter] if "F" in given else [])]
        paths = [_escaped(f"{target.rstrip('/')}/{name}", plain="h" in given) for name in names]
        line = "\t".join([*fields, ("\t" if "H" in given else " -> ").join(paths)])
        answer.say(line + (f"\t({change:+d})" if change else ""))


def _refuse(machine: Machine, earlier: str, later: str) -> None:
    """The two must be on one line of origins, the first before the second."""
    pool = machine.pool
    owner, short = earlier.split("@")
    name, _, at = later.partition("@")
    while True:
        snaps = pool.datasets[name]["snaps"]
        reach = snaps.index(at) if at else len(snaps)
        if name == owner:
            if snaps.index(short) >= reach:
                raise Refusal(_NOT_EARLIER)
            return
        origin = pool.datasets[name]["origin"]
        if not origin:
            raise Refusal(_NOT_EARLIER)
        name, at = origin.split("@")
        if origin == earlier:
            return


def _objects(machine: Machine, content: str) -> dict[str, _Object]:
    """Every object of a tree by its identity, which survives copying."""
    tree = machine.contents.path(content)
    copied = machine.contents.objects(content)
    sidecar = Sidecar(tree)
    found: dict[str, _Object] = {}
    pending = [""]
    while pending:
        path = pending.pop()
        if path in HIDDEN_NAMES:
            continue
        info = os.lstat(tree / path)
        # The root of a file system is always the same object, even while it has no tree.
        identity = copied.get(str(info.st_ino), f"{content}:{info.st_ino}") if path else "root"
        if identity in found:
            found[identity].names.append(path)
            continue
        link = os.readlink(tree / path) if stat.S_ISLNK(info.st_mode) else ""
        found[identity] = _Object([path], info, _shown(sidecar, path), link)
        if stat.S_ISDIR(info.st_mode):
            pending += [f"{path}/{name}".lstrip("/") for name in os.listdir(tree / path)]
    for one in found.values():
        if len(one.names) > 1:  # whichever name was met first: what is said of a file stands beside one of its names
            one.meta = _shown(sidecar, min(one.names, key=lambda name: (not sidecar.get(name), name)))
    return found


def _shown(sidecar: Sidecar, path: str) -> tuple[object, ...]:
    meta = sidecar.get(path)
    return (sidecar.mode(path), meta.get("uid", 0), meta.get("gid", 0), meta.get("flags"), meta.get("xattrs"))


def _changes(before: dict[str, _Object], after: dict[str, _Object]) -> Iterator[tuple[int, str, str, list[str], int]]:
    """Time, kind, type, name(s) and change of the link count of each object that changed."""
    here, there = _folders(before), _folders(after)
    kept = {identity for identity in before.keys() & after.keys() if _same(identity, before, after, here, there)}
    for identity, old in before.items():
        if identity not in kept:
            yield old.info.st_ctime_ns, "-", old.letter, [min(old.names)], 0
            continue
        new = after[identity]
        was = {_entry(name, here): name for name in old.names}
        stays = [(name, was[entry]) for name in new.names if (entry := _entry(name, there)) in was]
        links = 0 if old.letter == "/" else new.info.st_nlink - old.info.st_nlink
        if not stays:
            yield new.info.st_ctime_ns, "R", new.letter, [min(old.names), min(new.names)], 0
        elif links or old.meta != new.meta or _written(old, new) or _relinked(old, new):
            name, former = min(stays)
            if name == former:
                yield new.info.st_ctime_ns, "M", new.letter, [name], links
            else:  # it changed, and so did the name of a folder above it
                yield new.info.st_ctime_ns, "R", new.letter, [former, name], 0
    for identity, new in after.items():
        if identity not in kept:
            yield new.info.st_ctime_ns, "+", new.letter, [min(new.names)], 0


def _folders(objects: dict[str, _Object]) -> dict[str, str]:
    """The object of each folder's name."""
    return {name: identity for identity, each in objects.items() for name in each.names if each.letter == "/"}


def _entry(name: str, folders: dict[str, str]) -> tuple[str, str]:
    """A name as an entry of a folder, so that what lies in a renamed folder is not renamed itself."""
    above, _, last = name.rpartition("/")
    return folders[above], last


def _same(
    identity: str,
    before: dict[str, _Object],
    after: dict[str, _Object],
    here: dict[str, str],
    there: dict[str, str],
) -> bool:
    """Whether this is one object still: its number may have been used again for another, which no folder tells."""
    old, new = before[identity], after[identity]
    if old.letter != new.letter or old.target != new.target:
        return False
    if {_entry(name, here) for name in old.names} & {_entry(name, there) for name in new.names}:
        return True
    return old.letter == "/" or not _written(old, new)


def _relinked(old: _Object, new: _Object) -> bool:
    """Whether a file lost one of its names and got another: that changes it, as far as zfs can tell."""
    return old.letter != "/" and len(old.names) > 1 and set(old.names) != set(new.names)


def _written(old: _Object, new: _Object) -> bool:
    if old.letter == "@":
        return False
    same_size = old.letter == "/" or old.info.st_size == new.info.st_size
    return not same_size or old.info.st_mtime_ns != new.info.st_mtime_ns


def _escaped(path: str, *, plain: bool) -> str:
    """A backslash and four octal digits for all but visible ASCII."""
    out = []
    for byte in path.encode("utf-8", "surrogateescape"):
        visible = 0x20 < byte < 0x7F and byte != 0x5C
        out.append(bytes([byte]) if visible or (plain and byte > 0x7F) else b"\\%04o" % byte)
    return b"".join(out).decode("utf-8", "surrogateescape")
