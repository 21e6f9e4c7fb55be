"""Apply a jail package of format 2 inside a build jail, and look whether what it says is there now.

The root's own tools do it, so that links resolve in there. What is replaced goes first: another name of the old file
must not get the new content, and an immutable file cannot be overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.build.reading import Side
from reconciler.build.segment import DISCARDED, TAIL
from reconciler.build.workspace import Workspace
from reconciler.model.command import Completed, Output
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.packages.delta import differences, removals
from reconciler.packages.manifest import Manifest
from reconciler.packages.record import above
from reconciler.packages.tree import key

SHOWN = 20
UNPACK = ("env", "LC_ALL=C.UTF-8", "tar", "--clear-nochange-fflags", "-xpf", "-", "-C", "/")
"""bsdtar(1) clears such flags from folders that it changes; names beyond ASCII are an error to it in the locale C."""

# Each gets paths as its arguments, and what it is said to keep of them as "./PATH" in their place.
_THOSE = 'for p do shift; p=./$p; if {test}; then set -- "$@" "$p"; fi; done; [ $# = 0 ] || {tool} "$@"'
_LINK, _FOLDER = '[ -L "$p" ]', '[ -d "$p" ] && ! [ -L "$p" ]'
_LINKED = _THOSE.format(test=_LINK, tool="printf '%s\\0'")
_UNFLAG = _THOSE.format(test=f'[ -e "$p" ] || {_LINK}', tool="chflags -h 0")
_REMOVE = _THOSE.format(test=f'{_LINK} || {{ [ -e "$p" ] && ! [ -d "$p" ]; }}', tool="rm -f --")
_RMDIR = _THOSE.format(test=_FOLDER, tool="rmdir --")


def unpack(room: Workspace, name: str, manifest: Manifest, payload: Iterable[bytes], output: Output) -> None:
    """Delete, unpack, compare. Raises HostError (codes `package-apply-failed`, `package-apply-differs`)."""
    change = manifest.change
    going = removals(change)
    deleted = set(change.deletions)
    over = sorted({path for one in going for path in above(one)} - deleted, key=key)
    if linked := _run(room, name, _LINKED, over).split(b"\0")[:-1]:
        where = ", ".join(ascii(part.decode("utf-8", "surrogateescape"))[1:-1] for part in linked[:SHOWN])
        raise _failed(name, f"it deletes below {where}, and a symbolic link stands there.")
    if going:
        for script in (_UNFLAG, _REMOVE, _RMDIR):
            _run(room, name, script, going)
    if change.entries:
        done = room.exec(UNPACK, stdin=payload, output=output)
        if done.status:
            raise _failed(name, _said("tar", done))
    _compare(room, name, manifest)


def _compare(room: Workspace, name: str, manifest: Manifest) -> None:
    """Every name as the manifest says, with its content; and nothing where it deletes."""
    side = Side(room)
    wanted = manifest.tree()
    there = side.kinds((*wanted, *manifest.change.deletions), ())
    found = side.captured(path for path in wanted if path in there).tree
    wrong = [f"{one.path!a}: {one.what}" for one in differences(wanted, found)]
    wrong += [
        f"{path!a}: it is still there" for path in manifest.change.deletions if path in there and path not in wanted
    ]
    if wrong:
        shown = "\n".join(f"  {line}" for line in wrong[:SHOWN])
        more = f"\n  and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        detail = f"After {name} was unpacked, this is not as it says:\n{shown}{more}"
        hint = f"{DISCARDED} A package that was recorded on another base may not fit this one."
        summary = "What a jail package brought is not what it says"
        raise HostError(Diagnostic("package-apply-differs", summary, detail, hint))


def _run(room: Workspace, name: str, script: str, paths: Sequence[str]) -> bytes:
    if not paths:
        return b""
    stdin = b"".join(key(path) + b"\0" for path in paths)
    done = room.exec(("env", "LC_ALL=C", "xargs", "-0", "sh", "-c", script, "sh"), stdin=stdin)
    if done.status:
        raise _failed(name, _said("removing what it deletes or replaces", done))
    return done.stdout


def _said(what: str, done: Completed) -> str:
    tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
    return f"{what} ended with status {done.status}." + (f"\n{tail}" if tail else "")


def _failed(name: str, why: str) -> HostError:
    summary = "A jail package could not be unpacked"
    return HostError(Diagnostic("package-apply-failed", summary, f"{name}: {why}", DISCARDED))
