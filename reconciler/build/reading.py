"""What changed between two snapshots, read from inside: names, what they are, and the content of those that differ.

Each side is a clone that is mounted read-only under a jail without network; the root's own find and tar look around
in it, so that a link leads nowhere else. Only what zfs names, and the folders that it names, is looked at, but for
two cases: a renamed folder is read whole, and a changed file that has several names is searched for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from hashlib import sha256
from operator import or_
from threading import Lock

from reconciler.build import union
from reconciler.build.workspace import Workspace
from reconciler.kind import make_dataset
from reconciler.model.action import Site
from reconciler.model.command import Output
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import DatasetRow
from reconciler.packages.archive import PACKAGE
from reconciler.packages.capture import Captured, capture
from reconciler.packages.delta import Delta, delta
from reconciler.packages.record import IGNORED, Touched, beneath_others, sift, touched
from reconciler.packages.tar import too_large
from reconciler.packages.times import Window
from reconciler.packages.tree import TOP, Entry, key, unrecordable
from reconciler.spool import Spool

TIMEOUT = 4 * 3600.0
_CHUNK = 1 << 20
_ONE = Lock()
"""Two that read one snapshot would share its clone, and its name."""
_BATCH = 400
"""Files whose other names are looked for in one walk: find(1) compares each it meets with all of them."""

# Records on standard input, NUL after each: a letter and a path. What is found is written the same way.
#   n PATH   what is there: d, l, f (a file), p (a pipe), s (a socket), o (anything else), or nothing
#   w PATH   the same of all that lies below it, on the same file system
#   f PATH   e NAME for each entry of the folder, and m NAME for those that have other names as well
#   m PATH   h PATH when it has other names as well
LOOK = r"""
say() { find "$@" \( -type d -exec printf 'd%s\0' {} + -o -type l -exec printf 'l%s\0' {} + \
  -o -type f -exec printf 'f%s\0' {} + -o -type p -exec printf 'p%s\0' {} + \
  -o -type s -exec printf 's%s\0' {} + -o -exec printf 'o%s\0' {} + \); }
for record do
  path=./${record#?}
  [ "$path" != ./ ] || path=.
  [ -e "$path" ] || [ -L "$path" ] || continue
  case $record in
  n*)
    if [ -L "$path" ]; then printf 'l%s\0' "$path"
    elif [ -d "$path" ]; then printf 'd%s\0' "$path"
    elif [ -f "$path" ]; then printf 'f%s\0' "$path"
    elif [ -p "$path" ]; then printf 'p%s\0' "$path"
    elif [ -S "$path" ]; then printf 's%s\0' "$path"
    else printf 'o%s\0' "$path"; fi ;;
  w*) if [ -d "$path" ] && ! [ -L "$path" ]; then say "$path" -xdev -mindepth 1; fi ;;
  f*) if [ -d "$path" ] && ! [ -L "$path" ]; then
      find "$path" -mindepth 1 -maxdepth 1 -exec printf 'e%s\0' {} + &&
      find "$path" -mindepth 1 -maxdepth 1 ! -type d -links +1 -exec printf 'm%s\0' {} +
    fi ;;
  m*) if ! [ -d "$path" ]; then find "$path" -prune -links +1 -exec printf 'h%s\0' {} +; fi ;;
  esac || exit 1
done
"""
READ = (
    "env", "LC_ALL=C.UTF-8", "tar", "--format", "pax", "--no-read-sparse", "--null", "-n", "-T", "-",
    "-C", "/", "-cf", "-",
)  # fmt: skip
_UNFIT = {"s": "a socket", "o": "a device or something else that is no file"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed, with the content of the files that it brings. `left_out` are names by the pattern they match.

    `since` is the time (s since 1970) of the first tree's COPYRIGHT, which no patch replaces; 0 where it has none.
    `lost` are names by what a union lost of them: see `union.restored`.
    """

    change: Delta
    captured: Captured
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    since: int = 0
    lost: dict[str, tuple[str, ...]] = field(default_factory=dict)


def difference(
    site: Site,
    steps: Sequence[tuple[str, str]],
    *,
    ignore: Iterable[str] = IGNORED,
    wanted: Iterable[str] = (),
    everything: bool = False,
    upper: str = "",
) -> Difference:
    """What leads from the first snapshot to the last. Each step is (from, to): to a later snapshot of the same
    dataset, or from a clone's origin to a snapshot of the clone; zfs diff is sure of no others.
    With `everything` zfs is not asked, and both trees are read whole: they need have nothing in common. An `upper`
    folder is laid over the last tree.

    Raises HostError (`recording-unreadable`, `recording-no-room`, and what mounting and jails raise) and FetchError
    (`package-unrecordable`, and what `capture` raises).
    """
    with _ONE:
        where = Touched(whole=frozenset({""}))
        if not everything:
            where = reduce(or_, (_hints(site, before, after) for before, after in steps), Touched())
        if upper:
            where |= union.looked(site, upper)
        try:
            with Side.of(site, steps[0][0]) as old, Side.of(site, steps[-1][1], upper) as new:
                found = _compared(old, new, where, tuple(ignore), tuple(wanted))
                return replace(found, since=old.time_of("COPYRIGHT"))
        except OSError as error:
            raise _no_room(error) from error


def _no_room(error: OSError) -> HostError:
    detail = f"{tempfile.gettempdir()}: {error.strerror or error}. Nothing was made."
    hint = "Name a folder with room for all that changed, twice: TMPDIR=/var/tmp reconcile package ..."
    return HostError(Diagnostic("recording-no-room", "What was recorded cannot be set aside", detail, hint))


def windows(site: Site, steps: Iterable[tuple[str, str]]) -> tuple[Window, ...]:
    """When what these steps lead over was written: from the snapshot, or the clone, that each began with to its end."""
    ends = [(before if _dataset(before) == _dataset(after) else _dataset(after), after) for before, after in steps]
    made = site.host.datasets.created(sorted({name for end in ends for name in end}))
    return tuple((made[first], made[last]) for first, last in ends)


def _dataset(snapshot: str) -> str:
    return snapshot.partition("@")[0]


def abandon(site: Site, snapshot: str) -> None:
    """Clear away what a reading of this snapshot left when it was killed: nothing can be destroyed below a clone."""
    with _room(site, snapshot) as room:
        room.discard_unfinished()


def _room(site: Site, snapshot: str) -> Workspace:
    return Workspace(site, f"{site.pool}/layers/reading-{sha256(snapshot.encode()).hexdigest()[:16]}")


def _hints(site: Site, before: str, after: str) -> Touched:
    """Where zfs points. It wants the later dataset mounted: where it is, or at a place of our own."""
    dataset = _dataset(after)
    there = next((m.target for m in site.observe("mounts").mounts if m.source == dataset), None)
    if there is not None:
        return touched(site.host.datasets.diff(before, after), there)
    with Workspace(site, dataset) as room:
        room.mount("ro")
        return touched(site.host.datasets.diff(before, after), room.path)


def _compared(old: Side, new: Side, where: Touched, ignore: tuple[str, ...], wanted: tuple[str, ...]) -> Difference:
    names, whole = _names(old, new, where)
    if new.upper:
        names -= {TOP}  # the root's own owner and mode are then those of the upper folder
    sifted = sift(names | whole, ignore, wanted)
    here, there = (side.kinds(sifted.names, whole & sifted.names) for side in (old, new))
    # What lies below a renamed or new folder is known only now.
    again = sift({*here, *there}, ignore, wanted)
    before = {path: kind for path, kind in here.items() if path in again.names}
    after = {path: kind for path, kind in there.items() if path in again.names}
    if unfit := [(path, _UNFIT[kind]) for path, kind in after.items() if kind in _UNFIT]:
        raise unrecordable(unfit)
    captured = new.captured(after)
    known = old.captured(path for path, kind in before.items() if path in after and kind not in _UNFIT).tree
    gone = {path: Entry(path, "file", 0) for path in before if path not in known}
    left = {**sifted.left_out}
    for pattern, paths in again.left_out.items():
        left[pattern] = tuple(sorted({*left.get(pattern, ()), *paths}, key=key))
    tree, lost = union.restored(known, captured.tree) if new.upper else (captured.tree, {})
    return Difference(delta({**known, **gone}, tree), captured, _there(left, here, there), lost=lost)


def _there(left: dict[str, tuple[str, ...]], *sides: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {pattern: paths for pattern, paths in sorted(left.items()) if paths}


def _names(old: Side, new: Side, where: Touched) -> tuple[frozenset[str], frozenset[str]]:
    """Paths to look at, and those to look below: what zfs names, and what the folders that it names have or had."""
    looked = [side.look([*_records("f", where.folders), *_records("m", where.several)]) for side in (old, new)]
    mine, theirs = (frozenset(found.get("e", ())) for found in looked)
    many = {path for found in looked for path in found.get("m", ())}
    names = set(where.names) | many | ({TOP} if "" in where.folders | where.whole else set())
    for side, found in zip((old, new), looked, strict=True):
        names |= side.others(sorted(found.get("h", ()), key=key))
    came_or_went = mine ^ theirs
    return frozenset(names) | came_or_went | where.whole, where.whole | came_or_went


def _records(letter: str, paths: Iterable[str]) -> list[str]:
    return [letter + path for path in sorted(paths, key=key)]


@dataclass(frozen=True, slots=True)
class Side:
    """A tree with a jail over it, looked at from inside; `upper` is a folder that was laid over it."""

    room: Workspace
    upper: str = ""

    @classmethod
    @contextmanager
    def of(cls, site: Site, snapshot: str, upper: str = "") -> Iterator[Side]:
        """A clone of a snapshot, mounted read-only under a jail; it is gone afterwards."""
        with _room(site, snapshot) as room:
            room.discard_unfinished()
            make_dataset(site, room.dataset, {"mountpoint": "legacy", "canmount": "noauto"}, origin=snapshot)
            room.mount("ro")
            if upper:
                site.host.mounts.mount("unionfs", upper, room.path, union.READ_ONLY)
            room.start(network=False)
            try:
                yield cls(room, upper)
            except BaseException:
                with suppress(HostError):
                    room.clear()
                    room.discard_unfinished()
                raise
            room.clear()
            room.discard_unfinished()

    def look(self, records: Sequence[str]) -> dict[str, list[str]]:
        """What LOOK finds, by its letter. Raises HostError (code `recording-unreadable`)."""
        if not records:
            return {}
        found: dict[str, list[str]] = {}
        for record in self._run(("xargs", "-0", "sh", "-c", LOOK, "sh"), records):
            found.setdefault(record[:1], []).append(record[1:].removeprefix("./"))
        return found

    def kinds(self, names: Iterable[str], whole: Iterable[str]) -> dict[str, str]:
        """What stands at these paths and below some of them; nothing that is only reached through a symlink."""
        found = self.look([*_records("n", (name for name in names if name)), *_records("w", whole)])
        kinds = {path: letter for letter, paths in found.items() for path in paths}
        folds = {path for path, kind in kinds.items() if kind != "d"}
        return {path: kind for path, kind in kinds.items() if not beneath_others(path, folds)}

    def others(self, paths: Sequence[str]) -> set[str]:
        """Every name of files that have several: the whole tree is walked for them, though nothing of it is read."""
        found: set[str] = set()
        for start in range(0, len(paths), _BATCH):
            same: list[str] = []
            for path in paths[start : start + _BATCH]:
                same += ["-o", "-samefile", f"./{path}"]
            argv = ("find", ".", "-xdev", "!", "-type", "d", "(", *same[1:], ")", "-print0")
            found |= {path.removeprefix("./") for path in self._run(argv, ())}
        return found

    def captured(self, names: Iterable[str]) -> Captured:
        """These paths with their content."""
        spool = Spool(summed=False)
        ordered = sorted(names, key=key)
        if ordered:
            stdin = b"".join(b"./" + key(path) + b"\0" for path in ordered)
            done = self.room.exec(READ, stdin=stdin, sink=bounded(spool, PACKAGE.stream), timeout=TIMEOUT)
            if done.status:
                raise self._unreadable("tar", done.status, done.stderr)
        else:
            spool.write(bytes(1024))
        return capture((spool.read(at, _CHUNK) for at in range(0, spool.size, _CHUNK)), top=TOP in ordered)

    def time_of(self, path: str) -> int:
        """When a file is from (s since 1970); 0 where there is none."""
        there = self.kinds([path], ()).get(path) == "f"
        return self.captured([path]).tree[path].mtime if there else 0

    def _run(self, argv: Sequence[str], records: Sequence[str]) -> list[str]:
        stdin = b"".join(key(record) + b"\0" for record in records)
        done = self.room.exec(("env", "LC_ALL=C", *argv), stdin=stdin, timeout=TIMEOUT)
        if done.status:
            raise self._unreadable(argv[0], done.status, done.stderr)
        return [os.fsdecode(part) for part in done.stdout.split(b"\0") if part]

    def _unreadable(self, tool: str, status: int, stderr: bytes) -> HostError:
        said = stderr[-2000:].decode("utf-8", "replace").strip()
        detail = f"In a jail over {self.room.dataset}, {tool} ended with status {status}.\n{said}".rstrip()
        hint = "The root needs its own sh, find, xargs and tar, as every release has them in its base set."
        return HostError(Diagnostic("recording-unreadable", "A root cannot be read", detail, hint), stderr=said)


def bounded(spool: Spool, most: int) -> Output:
    """What writes to a spool, and ends whoever writes more than that: the root's own tar may never end.

    It raises FetchError (code `archive-too-large`).
    """

    def take(piece: bytes) -> None:
        if spool.size + len(piece) > most:
            raise too_large(f"What changed in a root takes more than {most} bytes.")
        spool.write(piece)

    return take


def line(rows: Sequence[DatasetRow], first: str, last: str) -> tuple[tuple[str, str], ...]:
    """The steps for `difference` from one snapshot to another that came of it, over clones of clones.

    Raises HostError (code `recording-no-line`) when it did not.
    """
    by_name = {row.name: row for row in rows}
    steps: list[tuple[str, str]] = []
    to, start = last, first.partition("@")[0]
    while to.partition("@")[0] != start:
        head = by_name.get(to.partition("@")[0])
        if head is None or not head.origin:
            detail = f"{last} was not made from {first}: it comes from {to.partition('@')[0]}."
            hint = "Record what is done from now on instead: reconcile package record start JAIL"
            raise HostError(Diagnostic("recording-no-line", "A root does not stand on its base", detail, hint))
        steps.append((head.origin, to))
        to = head.origin
    if to != first:
        steps.append((first, to))
    return tuple(reversed(steps))
