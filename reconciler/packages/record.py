"""Which paths a recording has to look at: worked out from what `zfs diff` says. Pure.

zfs tells less than what changed, so that what it tells is taken as hints, never as the answer: the two trees are
looked at where it points, and compared. Seen of OpenZFS 2.3.2 (tests/captures/data/openzfs-diff.txt):

- of a renamed folder it names the folder alone, not what is in it;
- of a file with several names it gives one, whichever, or two as if the file had been renamed;
- a file that was deleted while a process had it open is not named at all, only its folder is;
- extended attributes kept as files appear below `<xattrdir>`, sockets and devices as themselves.

So a folder that changed has its names looked at, whatever else is said of it. Paths are as in `tree`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import Change
from reconciler.packages.tree import key

UNLINKED = "(on_delete_queue)"
"""What zfs appends to the mount point for a file that has no name any more and is still open."""
ATTRIBUTES = "<xattrdir>"

IGNORED = (
    # What identifies one machine, and what every start of a jail makes anew.
    "etc/ssh/ssh_host_*", "etc/hostid", "etc/machine-id", "var/lib/dbus/machine-id", "entropy", "boot/entropy",
    "var/db/entropy", "etc/resolv.conf", "etc/resolv.conf.*", "etc/localtime", "etc/motd", "dev", "proc",
    "var/run", "var/db/mounttab", "var/db/dhclient*", "var/db/ntpd.*", "firstboot*", ".sujournal",
    # What was only on the way, and what can be had again.
    "tmp", "var/tmp", "var/cache", "root/.cache", "var/crash", "var/spool/clientmqueue", "var/spool/lock",
    "var/db/pkg/repo-*", "var/db/pkg/repos", "var/db/pkg/local.sqlite-*", "var/db/pkg/vuln.xml",
    "var/db/freebsd-update", "var/db/locate.database", "usr/*/mandoc.db",
    # What a person or a program said while it was recorded.
    "var/log", "var/mail", "var/backups", "root/.history", "root/.sh_history", "root/.bash_history",
    "root/.lesshst", "root/.viminfo", "root/.python_history", "var/cron/tabs",
)  # fmt: skip
"""Names and folders, as fnmatch patterns, that no package holds; what lies below such a folder goes with it."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Where to look. `names` are paths themselves, `folders` those whose names changed, `whole` whatever lies below.

    `several` are files that zfs named: when they have other names, those have changed with them.
    """

    names: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    several: frozenset[str] = frozenset()

    def __or__(self, other: Touched) -> Touched:
        """Both: what was touched on the way from one tree to another, and from there to a third."""
        return Touched(
            self.names | other.names,
            self.folders | other.folders,
            self.whole | other.whole,
            self.several | other.several,
        )

    def __bool__(self) -> bool:
        """Whether anything was."""
        return bool(self.names or self.folders or self.whole)


def touched(changes: Iterable[Change], root: str) -> Touched:
    """Where to look, from the changes below a folder that was mounted at `root`.

    Raises HostError (code `unreadable-output`) for a change that lies elsewhere.
    """
    names: set[str] = set()
    folders: set[str] = set()
    whole: set[str] = set()
    several: set[str] = set()
    for change in changes:
        for path in (_inside(change.path, root), _inside(change.renamed or change.path, root)):
            if path is None:
                continue
            owner = _owner(path)
            names |= {path, owner} - {""}
            if change.type == "/":
                folders.add(path)
                if change.op != "M" and path:
                    whole.add(path)
            elif change.op in "MR":
                several.add(path)
    return Touched(frozenset(names), frozenset(folders), frozenset(whole), frozenset(several))


def _inside(path: str, root: str) -> str | None:
    """The path below the root, "" for the root itself; None for what has no name any more."""
    top = root.rstrip("/")
    if path == f"{top}{UNLINKED}":
        return None
    if path.rstrip("/") == top:
        return ""
    if not path.startswith(f"{top}/"):
        detail = f"`zfs diff` names {path!a}, which does not lie below {root!a}."
        hint = "Something was mounted or moved meanwhile: run the command again."
        raise HostError(Diagnostic("unreadable-output", "The output of a command is not understood", detail, hint))
    return path[len(top) + 1 :].rstrip("/")


def _owner(path: str) -> str:
    """The file or folder whose attribute this is; the path itself where it is none."""
    parts = path.split("/")
    return "/".join(parts[: parts.index(ATTRIBUTES)]) if ATTRIBUTES in parts else path


def ignored(path: str, patterns: Iterable[str] = IGNORED) -> str:
    """The pattern that leaves a path out; "" when none does.

    A pattern leaves out what it matches and everything below; a star matches within one component.
    """
    parts = path.split("/")
    for pattern in patterns:
        wanted = pattern.strip("/").split("/")
        if len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted)):
            return pattern
    return ""


@dataclass(frozen=True, slots=True)
class Sifted:
    """Names that are recorded, and those left out, by the pattern that did it."""

    names: frozenset[str]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def sift(names: Iterable[str], patterns: Iterable[str] = IGNORED, wanted: Iterable[str] = ()) -> Sifted:
    """Take out what is ignored; patterns in `wanted` bring it back."""
    every, back = tuple(patterns), tuple(wanted)
    stay: set[str] = set()
    out: dict[str, list[str]] = {}
    for name in names:
        pattern = ignored(name, every)
        if not pattern or ignored(name, back):
            stay.add(name)
        else:
            out.setdefault(pattern, []).append(name)
    return Sifted(frozenset(stay), {p: tuple(sorted(found, key=key)) for p, found in sorted(out.items())})


def beneath_others(path: str, others: Collection[str]) -> bool:
    """Whether a path lies below one of these, none of which is a folder.

    Where one tree has a folder and the other a link of that name, asking the other for what is in it leads elsewhere.
    """
    return any(folder in others for folder in above(path))


def above(path: str) -> Iterator[str]:
    """The folders that a path lies in, nearest first, without the root."""
    while (path := path.rpartition("/")[0]) != "":
        yield path
