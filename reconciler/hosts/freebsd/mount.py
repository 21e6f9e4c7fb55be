"""mount(8) and umount(8): argument vectors, the parser, and the Mounts facet."""

from __future__ import annotations

import json
from typing import Any

from reconciler.hosts.freebsd.failure import failed, run, text, unreadable
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.ports import MountRow


def listing() -> tuple[str, ...]:
    """List mounts. `mount -p` does not escape spaces in paths; this does."""
    return ("mount", "--libxo", "json")


def parse_listing(completed: Completed, words: dict[str, str] | None = None) -> tuple[MountRow, ...]:
    """The rows of `listing`, oldest first; a mount without options has no `opts`.

    `words` are strings that other listings of the same observation have: the same are not kept twice.
    """
    same = ({} if words is None else words).setdefault
    share: dict[tuple[str, ...], frozenset[str]] = {}  # thousands of mounts have the same few options

    def row(found: dict[str, Any]) -> MountRow | dict[str, Any]:
        if "special" not in found:
            return found
        words = tuple(map(str, found.get("opts", [])))
        options = share.setdefault(words, frozenset(words))
        source, target, fstype = str(found["special"]), str(found["node"]), str(found["fstype"])
        source, target, fstype = same(source, source), same(target, target), same(fstype, fstype)
        return MountRow(source, target, fstype, options)

    try:
        # Each row is made as it is read: all of them as JSON are several times as large.
        rows = tuple(json.loads(completed.stdout, object_hook=row)["mount"]["mounted"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(completed, f"{type(error).__name__}: {error}") from error
    if not all(isinstance(one, MountRow) for one in rows):
        raise unreadable(completed, "a mount says no `special`")
    return rows


def mount(fstype: str, source: str, target: str, options: str) -> tuple[str, ...]:
    """Mount a file system."""
    return ("mount", "-t", fstype, "-o", options, source, target)


def unmount(target: str, *, force: bool) -> tuple[str, ...]:
    """Unmount what is mounted on `target`."""
    return ("umount", "-f", target) if force else ("umount", target)


def busy(completed: Completed) -> bool:
    """Whether an unmount was refused because something is in use."""
    return completed.status != 0 and "Device busy" in text(completed.stderr)


def dying() -> tuple[str, ...]:
    """List jails with their paths, those that are gone but for a connection that still times out included."""
    return ("jls", "-d", "--libxo", "json", "path", "dying")


def parse_dying(completed: Completed) -> frozenset[str]:
    """The paths of dying jails that no running jail has; none where the list cannot be read."""
    try:
        jails = json.loads(completed.stdout)["jail-information"]["jail"]
        paths = {(str(jail["path"]), str(jail["dying"]).lower() == "true") for jail in jails}
    except (ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
    return frozenset({path for path, ended in paths if ended} - {path for path, ended in paths if not ended})


class HostMounts:
    """The Mounts facet. Every method raises HostError when the command fails."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def mount(self, fstype: str, source: str, target: str, options: str = "rw") -> None:
        """Mount `source` on `target`, which must exist."""
        run(self._runner, Command(mount(fstype, source, target, options)), "mount-failed", "A mount failed")

    def unmount(self, target: str, *, force: bool = False) -> None:
        """Unmount what is on `target`; `force` even when it is in use.

        A removed jail holds its root as long as one of its connections times out, up to a minute,
        although nothing of it runs. What only such a jail uses is unmounted all the same.
        """
        done = self._runner.run(Command(unmount(target, force=force)))
        if busy(done) and not force:
            # It may have ended between the two questions: then the second try goes through without force.
            only_dying = target in parse_dying(self._runner.run(Command(dying())))
            done = self._runner.run(Command(unmount(target, force=only_dying)))
        if done.status != 0:
            raise failed(done, "unmount-failed", "An unmount failed")
