"""What a failed command means: one table from what FreeBSD's tools print to diagnostics.

The texts are those of OpenZFS 2.2 to 2.4 and of FreeBSD 14 and 15 (zfs(8), jail(8), mount(8), ifconfig(8)).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.command import Command, Completed, Runner
from reconciler.model.diagnostic import Diagnostic, HostError


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that can be told from the text: any of `texts` on standard error of one of `tools`."""

    code: str
    summary: str
    texts: tuple[str, ...]
    hint: str
    tools: tuple[str, ...] = ()
    transient: bool = False


_ZFS = ("zfs", "zpool")
_JAIL = ("jail", "jls", "jexec")

FAILURES = (
    Failure(
        "snapshot-held",
        "A snapshot is held",
        ("it's being held",),
        "See who holds it: zfs holds SNAPSHOT. It can go after zfs release TAG SNAPSHOT.",
        _ZFS,
    ),
    Failure(
        "has-clones",
        "A dataset or snapshot still has clones",
        ("has dependent clones",),
        "Remove or promote the listed clones first; nothing was destroyed.",
        _ZFS,
    ),
    Failure(
        "has-children",
        "A dataset still has children or snapshots",
        ("has children",),
        "Remove the listed datasets first; nothing was destroyed.",
        _ZFS,
    ),
    Failure(
        "dataset-busy",
        "A dataset is in use",
        ("dataset is busy", "target is busy"),
        "Something has files open in it or is mounted below it: see fstat -f MOUNTPOINT and mount.",
        _ZFS,
        transient=True,
    ),
    Failure(
        "dataset-exists",
        "A dataset exists already",
        ("dataset already exists",),
        "Look at it with zfs list; plan again so that the plan takes it into account.",
        _ZFS,
    ),
    Failure(
        "pool-suspended",
        "A pool does not answer",
        ("pool I/O is currently suspended",),
        "See zpool status; zpool clear POOL after the device is back.",
        _ZFS,
    ),
    Failure(
        "dataset-missing",
        "A dataset does not exist",
        ("dataset does not exist", "parent does not exist", "no such pool", "could not find any snapshots"),
        "Plan again: the host is not as it was when this was planned.",
        _ZFS,
    ),
    Failure(
        "no-space",
        "There is no space left",
        (
            "out of space",
            "No space left on device",
            "exceeds quota",
            "Disc quota exceeded",
            "greater than available space",
        ),
        "Free space or raise the quota: zfs list -o space -r POOL shows where it went.",
    ),
    Failure(
        "not-permitted",
        "The host does not permit this",
        ("Permission denied", "Operation not permitted", "permission denied", "must be run as root"),
        "Run as root; over ssh: ssh://root@HOST, or ssh://USER@HOST?become=doas (or sudo). "
        "On a host with a raised securelevel this is refused even to root.",
    ),
    Failure(
        "bad-property",
        "ZFS does not accept a property",
        (
            "invalid property",
            "must be one of",
            "bad numeric value",
            "is readonly",
            "property value too long",
            "size is less than",
        ),
        "Correct the value in the spec; zfs get shows what the property takes.",
        _ZFS,
    ),
    Failure(
        "jail-missing",
        "A jail is not running",
        ('" not found',),
        "See which jails run: jls -N.",
        _JAIL,
    ),
    Failure(
        "jail-exists",
        "A jail runs already",
        ('" already exists',),
        "See which jails run: jls -N.",
        _JAIL,
    ),
    Failure(
        "address-clash",
        "An address is in use by another jail",
        ("addresses clash",),
        "Give the jail another address, or stop the jail that has it: jls shows addresses.",
        _JAIL,
    ),
    Failure(
        "mount-busy",
        "A file system is in use",
        ("Device busy",),
        "See which processes have files open in it: fstat -f MOUNTPOINT.",
        ("umount", "mount"),
        transient=True,
    ),
    Failure(
        "not-mounted",
        "Nothing is mounted there",
        ("not a file system root directory", "not currently mounted"),
        "Plan again: it was unmounted meanwhile.",
    ),
    Failure(
        "interface-missing",
        "A network interface does not exist",
        ("does not exist",),
        "See which interfaces there are: ifconfig -l.",
        ("ifconfig",),
    ),
    Failure(
        "pf-unavailable",
        "The packet filter is not there",
        ("/dev/pf: No such file or directory", "/dev/pf: Device not configured"),
        "Enable it: sysrc pf_enable=YES && service pf start.",
        ("pfctl",),
    ),
    Failure(
        "racct-disabled",
        "Resource limits are not enabled",
        ("RACCT/RCTL",),
        'Put kern.racct.enable="1" in /boot/loader.conf and restart the host.',
        ("rctl",),
    ),
)

_HINTS = {
    "pkg": "The base system has it as /usr/sbin/pkg, which fetches pkg itself; a host without needs that of base.txz.",
    "freebsd-update": "It belongs to base.txz. Without it a release has the level of its archives: patch_level: 0",
}


def there(done: Completed) -> Completed:
    """How a command ended. Raises HostError (`command-missing`) where the host has no such program."""
    if done.status == 127:
        raise failed(done)
    return done


def tool(argv: tuple[str, ...]) -> str:
    """The name of the program an argument vector starts."""
    return argv[0].rsplit("/", 1)[-1] if argv else ""


def text(data: bytes) -> str:
    """Output of a command as text; bytes that are no UTF-8 survive as surrogates."""
    return data.decode("utf-8", "surrogateescape")


def failed(
    completed: Completed, code: str = "command-failed", summary: str = "A command on the host failed"
) -> HostError:
    """Say what a non-zero exit status means; `code` and `summary` when its text says nothing known."""
    name = tool(completed.argv)
    stderr = text(completed.stderr)
    hint, transient = "Run the same command on the host to see it fail.", False
    if completed.status == 127:
        code, summary, hint = _missing(name)
    else:
        for failure in FAILURES:
            if (not failure.tools or name in failure.tools) and any(words in stderr for words in failure.texts):
                code, summary, hint, transient = failure.code, failure.summary, failure.hint, failure.transient
                break
    said = stderr.strip() or text(completed.stdout[-2000:]).strip()
    detail = f"`{' '.join(completed.argv)}` ended with status {completed.status}" + (f": {said}" if said else ".")
    return HostError(
        Diagnostic(code, summary, detail, hint),
        argv=completed.argv,
        status=completed.status,
        stderr=stderr,
        transient=transient,
    )


def _missing(name: str) -> tuple[str, str, str]:
    if name in _ZFS:
        return "no-zfs", "The host has no ZFS", "Load it: kldload zfs; sysrc zfs_enable=YES keeps it."
    hint = _HINTS.get(name, f"Install what provides {name}, or use another host.")
    return "command-missing", "A command is not on the host", hint


def run(
    runner: Runner, command: Command, code: str = "command-failed", summary: str = "A command on the host failed"
) -> Completed:
    """Run a command that must succeed; HostError otherwise."""
    completed = runner.run(command)
    if completed.status != 0:
        raise failed(completed, code, summary)
    return completed


def unreadable(completed: Completed, reason: str) -> HostError:
    """The HostError (code `unreadable-output`) for output that a parser does not understand."""
    return HostError(
        Diagnostic(
            "unreadable-output",
            "A command answered in a form that is not understood",
            f"`{' '.join(completed.argv)}`: {reason}",
            "Report this with the output of the command; nothing was changed.",
        ),
        argv=completed.argv,
        status=completed.status,
        stderr=text(completed.stderr),
    )


def lines(data: bytes) -> Iterable[str]:
    """The lines of a command's output that are not empty, without their newline."""
    start = 0
    while start < len(data):  # one after the other: a list of all would be larger than what it is made from
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end > start:
            yield text(data[start:end])
        start = end + 1
