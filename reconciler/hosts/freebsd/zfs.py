"""zfs(8): argument vectors, parsers, and the Datasets facet.

Output is split on tabs and newlines only, for a dataset name may hold spaces. The values of our own
user properties hold neither tab nor newline, but root in a jail may give a dataset that was delegated to
it any value of the same names: `doubtful` and `settled` keep such values from being read as rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.hosts.freebsd.diff import parse_diff
from reconciler.hosts.freebsd.failure import failed, lines, run, text, unreadable
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.ports import Change, DatasetRow

PREFIX = "reconciler:"

USER = (
    "owner",
    "digest",
    "inputs",
    "release",
    "patch_level",
    "built",
    "good",
    "rejected",
    "pruned",
    "source",
    "suspended",
    "guid_of",
    "volume_owner",
    "made_by",
    "protect",
    "live",
    "kept",
    "replaced",
    "recording",
    "package",
    "skipped",
    "chain",
    "carried",
)
"""Our user properties, by the part after `reconciler:`. A new one is added here and nowhere else."""

NATIVE = ("quota", "reservation", "recordsize", "compression", "exec", "setuid")
"""Native properties that go into `DatasetRow.native`."""

VOLATILE = ("userrefs", "written", "used", "available")
"""Columns that change by themselves or that anybody may change. They stand last, so that a digest can leave them out.

`userrefs`: how many holds a snapshot has; a digest tells none from some, since one of them may be ours."""

_FIXED = (
    "name",
    "type",
    "guid",
    "origin",
    "mountpoint",
    "canmount",
    "mounted",
    "readonly",
    "keystatus",
    "encryptionroot",
)
_LISTING_TIMEOUT = 1800.0
_PIECE = 1 << 18
_DIFF_TIMEOUT = 4 * 3600.0


def columns(*, jailed: bool) -> tuple[str, ...]:
    """The columns of the listing, in order. Only FreeBSD has the property `jailed`."""
    own = tuple(PREFIX + name for name in USER)
    return (*_names(jailed), *NATIVE, *own, *VOLATILE)


def _names(jailed: bool) -> tuple[str, ...]:
    # Before anything that a jail can set, and beside a word that follows nowhere else: see `doubtful`.
    return (_FIXED[0], "jailed", *_FIXED[1:]) if jailed else _FIXED


def listing(roots: Iterable[str], *, jailed: bool = True) -> tuple[str, ...]:
    """List datasets and snapshots below `roots`, with everything that an observation needs."""
    return _list(columns(jailed=jailed), roots)


def plain_listing(roots: Iterable[str], *, jailed: bool = True) -> tuple[str, ...]:
    """The same without user properties: nothing that a jail can set stands in it."""
    return _list((*_names(jailed), *NATIVE, *VOLATILE), roots)


def _list(names: Iterable[str], roots: Iterable[str]) -> tuple[str, ...]:
    return ("zfs", "list", "-Hp", "-r", "-t", "filesystem,snapshot", "-o", ",".join(names), *roots)


def doubtful(stdout: bytes, *, jailed: bool = True) -> bool:
    """Whether user properties in a listing may hold tabs and newlines, so that its lines may be no rows.

    A delegated dataset says so before any value that its jail can set: whatever those pretend, this is seen.
    """
    tabs = len(columns(jailed=jailed)) - 1
    return stdout.count(b"\t") != tabs * stdout.count(b"\n") or (jailed and b"\ton\tfilesystem\t" in stdout)


def pools() -> tuple[str, ...]:
    """List imported pools and their health; asked only when the listing fails."""
    return ("zpool", "list", "-H", "-o", "name,health")


def parse_pools(completed: Completed) -> dict[str, str]:
    """The health of each imported pool by name."""
    found = {}
    for line in lines(completed.stdout):
        name, _, health = line.partition("\t")
        found[name] = health
    return found


def parse_listing(
    completed: Completed, *, jailed: bool = True, words: dict[str, str] | None = None
) -> tuple[DatasetRow, ...]:
    """The rows of `listing`. Raises HostError (code `unreadable-output`) for a row of another shape.

    `words` are strings that other listings of the same observation have: the same are not kept twice.
    """
    words = {} if words is None else words
    width, first_native = len(columns(jailed=jailed)), len(_FIXED) + jailed
    first_user = first_native + len(NATIVE)
    rows: list[DatasetRow] = []
    several = "," not in "".join(completed.argv[-2:-1])  # before the only root stand the columns
    seen: set[str] = set()
    nothing: dict[str, str] = {}
    alone: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    last, user, kept = list[str](), nothing, dict[str, str]()
    share: dict[tuple[str, ...], dict[str, str]] = {}
    sizes: dict[str, int] = {"-": 0}
    for line in lines(completed.stdout):
        cells = line.split("\t")
        if len(cells) != width:
            raise unreadable(completed, f"expected {width} columns, got {len(cells)}: {line[:200]!r}")
        name = cells[0]
        if several:  # they may lie inside each other
            if name in seen:
                continue
            seen.add(name)
        # Most rows agree in their native values: one mapping for all that do.
        values = tuple(cells[first_native:first_user])
        native = share.get(values)
        if native is None:
            native = share[values] = {k: v for k, v in zip(NATIVE, values, strict=True) if v != "-"}
        own = cells[first_user : -len(VOLATILE)]
        if own != last:
            user, last = nothing if own.count("-") == len(own) else _user(own, kept), own
        if len(user) == 1:  # roots of one chain are sealed with one digest
            user = alone.setdefault(tuple(user.items()), user)
        rows.append(_row(cells, jailed, native, user, completed, sizes, words))
    return tuple(rows)


def _user(cells: Iterable[str], kept: dict[str, str]) -> dict[str, str]:
    """Our properties of one row. Most are inherited: `kept` has the values of rows before it, which are used again."""
    found = {}
    for name, value in zip(USER, cells, strict=True):
        if value != "-":
            if kept.get(name) != value:
                kept[name] = value
            found[name] = kept[name]
    return found


def _row(
    cells: list[str],
    jailed: bool,
    native: Mapping[str, str],
    user: Mapping[str, str],
    completed: Completed,
    sizes: dict[str, int],
    words: dict[str, str],
) -> DatasetRow:
    name, same = cells[0], words.setdefault
    kind, guid, origin, mountpoint, canmount, mounted, readonly, keystatus, encryptionroot = cells[1 + jailed :][:9]
    try:
        for cell in cells[-len(VOLATILE) :]:  # thousands of rows are of one size, and all have the same left
            if cell not in sizes:
                sizes[cell] = int(cell)
        return DatasetRow(
            words.get(name, name),
            same(kind, kind),
            guid,
            "" if origin == "-" else same(origin, origin),
            "" if mountpoint == "-" else same(mountpoint, mountpoint),
            "" if canmount == "-" else same(canmount, canmount),
            mounted == "yes",
            jailed and cells[1] == "on",
            readonly == "on",
            "" if keystatus in {"-", "none"} else keystatus,
            "" if encryptionroot == "-" else same(encryptionroot, encryptionroot),
            sizes[cells[-3]],
            sizes[cells[-2]],
            sizes[cells[-1]],
            native,
            user,
            sizes[cells[-4]],
        )
    except ValueError as error:
        raise unreadable(completed, f"a size is no number: {name!r}: {error}") from error


def settled(
    listed: Completed, plain: Completed, *, jailed: bool = True, words: dict[str, str] | None = None
) -> tuple[DatasetRow, ...]:
    """The rows of a doubtful listing, held against `plain_listing`.

    A row counts when exactly one line has its name and its guid, which no jail knows of a dataset that is not its
    own. Delegated datasets, and those whose lines are torn, come without user properties: as somebody else's.
    Raises HostError (code `unreadable-output`).
    """
    width, guid = len(columns(jailed=jailed)), 2 + jailed
    found: dict[tuple[str, str], list[str]] = {}
    begun: set[str] = set()
    for line in lines(listed.stdout):
        cells = line.split("\t")
        begun.add(cells[0])
        if len(cells) == width:
            found.setdefault((cells[0], cells[guid]), []).append(line)
    empty = "\t".join(["-"] * len(USER))
    delegated: set[str] = set()
    rows = []
    for line in dict.fromkeys(lines(plain.stdout)):
        cells = line.split("\t")
        name, last = cells[0], len(cells) - len(VOLATILE)
        if jailed and cells[1] == "on":
            delegated.add(name)
        whole = found.get((name, cells[guid]), [])
        if name.partition("@")[0] in delegated or len(whole) != 1:
            whole = ["\t".join([*cells[:last], empty, *cells[last:]])] if name in begun else []
        rows += whole
    text_ = "".join(f"{line}\n" for line in rows).encode("utf-8", "surrogateescape")
    return parse_listing(Completed(listed.argv, listed.status, text_), jailed=jailed, words=words)


def steady(stdout: bytes) -> bytes:
    """The listing without its volatile columns, for digests."""
    return b"".join(steady_parts(stdout))


def steady_line(line: bytes) -> bytes:
    """One line of it without them."""
    cells = line.rsplit(b"\t", len(VOLATILE))
    return cells[0] + b"\t0" if len(cells) > 1 and cells[1] == b"0" else cells[0]


def steady_parts(stdout: bytes) -> Iterator[bytes]:
    """The same in pieces: at 10,000 jails it is 20 MB, and a list of its lines several times that."""
    start = 0
    while start < len(stdout):
        end = stdout.find(b"\n", start + _PIECE) + 1 or len(stdout)
        yield b"\n".join([steady_line(line) for line in stdout[start:end].split(b"\n")])
        start = end


def _options(properties: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for name, value in properties.items() for word in ("-o", assignment(name, value)))


def assignment(name: str, value: str) -> str:
    """PROPERTY=VALUE. No quota is listed as 0 and refused as 0: zfs(8) wants the word, also in the same breath."""
    return f"{name}=none" if name in ("quota", "refquota") and value == "0" else f"{name}={value}"


def create(name: str, properties: Mapping[str, str]) -> tuple[str, ...]:
    """Create a file system; its parent must exist."""
    return ("zfs", "create", *_options(properties), name)


def clone(snapshot: str, name: str, properties: Mapping[str, str]) -> tuple[str, ...]:
    """Clone a snapshot."""
    return ("zfs", "clone", *_options(properties), snapshot, name)


# Fixed words; what varies are its operands. Two programs with a pipe between them are a shell's work. Receiving fails
# when sending did: a stream without its end is refused.
_COPY = 'from=$1; shift; zfs send "$from" | zfs receive -u "$@"'


def copy(snapshot: str, target: str, properties: Mapping[str, str]) -> tuple[str, ...]:
    """Copy a snapshot to a new file system and its first snapshot, `target`; it stays unmounted."""
    return ("sh", "-c", _COPY, "copy", snapshot, *_options(properties), target)


def snapshot(names: Sequence[str], properties: Mapping[str, str]) -> tuple[str, ...]:
    """Take snapshots of one pool at one instant, all or none."""
    return ("zfs", "snapshot", *_options(properties), *names)


def assign(name: str, properties: Mapping[str, str], *, remount: bool = True) -> tuple[str, ...]:
    """Set properties; without `remount` what is mounted stays where it is (zfs-set(8), OpenZFS 2.2)."""
    return ("zfs", "set", *(() if remount else ("-u",)), *(assignment(*pair) for pair in properties.items()), name)


def inherit(name: str, property_: str) -> tuple[str, ...]:
    """Remove a local value."""
    return ("zfs", "inherit", property_, name)


class ZFSDatasets:
    """The Datasets facet over zfs(8). Every method raises HostError when the command fails."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def _run(self, argv: tuple[str, ...]) -> Completed:
        return run(self._runner, Command(argv, timeout=_LISTING_TIMEOUT), "zfs-failed", "A zfs command failed")

    def create(self, name: str, properties: Mapping[str, str]) -> None:
        """Create a file system; its parent must exist."""
        self._run(create(name, properties))

    def clone(self, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
        """Clone a snapshot as a new file system."""
        self._run(clone(snapshot, name, properties))

    def copy(self, snapshot: str, target: str, properties: Mapping[str, str]) -> None:
        """Copy a snapshot; `target` names the new file system and its first snapshot."""
        argv = copy(snapshot, target, properties)
        run(self._runner, Command(argv, timeout=_DIFF_TIMEOUT), "zfs-failed", "A zfs command failed")

    def snapshot(self, names: Sequence[str], properties: Mapping[str, str]) -> None:
        """Take all of these snapshots (of one pool) at one instant, or none."""
        self._run(snapshot(names, properties))

    def set(self, name: str, properties: Mapping[str, str], *, remount: bool = True) -> None:
        """Set properties; nothing to do for none. Without `remount` what is mounted stays where it is."""
        if properties:
            self._run(assign(name, properties, remount=remount))

    def unset(self, name: str, property_: str) -> None:
        """Remove a local property, so that it is inherited again."""
        self._run(inherit(name, property_))

    def destroy(self, name: str) -> None:
        """Destroy one dataset or snapshot; refused while it has children, clones or holds."""
        self._run(("zfs", "destroy", name))

    def rename(self, name: str, new: str) -> None:
        """Rename a dataset; refused while it is in use."""
        self._run(("zfs", "rename", name, new))

    def mount(self, name: str) -> None:
        """Mount a file system on its own mountpoint."""
        self._run(("zfs", "mount", name))

    def hold(self, tag: str, snapshot: str) -> None:
        """Hold a snapshot, so that nothing destroys it."""
        self._run(("zfs", "hold", tag, snapshot))

    def release(self, tag: str, snapshot: str) -> None:
        """Let a held snapshot go."""
        self._run(("zfs", "release", tag, snapshot))

    def guid(self, name: str) -> str:
        """The guid of a dataset or snapshot."""
        return text(self._run(("zfs", "get", "-Hp", "-o", "value", "guid", name)).stdout).strip()

    def created(self, names: Sequence[str]) -> Mapping[str, int]:
        """When these datasets and snapshots were made (s since 1970), by name."""
        done = self._run(("zfs", "get", "-Hp", "-o", "name,value", "creation", *names))
        cells = [line.split("\t") for line in lines(done.stdout)]
        if any(len(row) != 2 or not row[1].isdigit() for row in cells):
            raise unreadable(done, "a moment of creation that is no number")
        return {name: int(value) for name, value in cells}

    def local(self, name: str, properties: Sequence[str]) -> Mapping[str, str]:
        """Those of these properties that are set on the dataset itself; none where there is no such dataset."""
        argv = ("zfs", "get", "-Hp", "-s", "local", "-o", "property,value", ",".join(properties), name)
        done = self._runner.run(Command(argv, timeout=_LISTING_TIMEOUT))
        if done.status != 0 and b"dataset does not exist" in done.stderr:
            return {}
        if done.status != 0:
            raise failed(done)
        return dict(line.split("\t", 1) for line in lines(done.stdout))

    def diff(self, snapshot: str, head: str) -> tuple[Change, ...]:
        """What changed from a snapshot to a file system or later snapshot."""
        command = Command(("zfs", "diff", "-FHt", snapshot, head), timeout=_DIFF_TIMEOUT)
        return parse_diff(run(self._runner, command, "zfs-failed", "A zfs command failed"))
