"""freebsd-update(8) of 15.1: fetch, updatesready and install, on the host and inside a jail.

A server on loopback is asked over HTTP; any other name is a folder below `servers` of the sandbox, where whoever
tries something out may put one. The work folder has the real one's form: `tag`,
`files/HASH.gz`, `install.XXXXXX/{INDEX-OLD,INDEX-NEW}`, and a link named by the SHA256 of the words of BASEDIR.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import re
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from reconciler.hosts.sandbox import beneath, update_client
from reconciler.hosts.sandbox.answer import Answer, Refusal, options, reason
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.modes import parse_mode
from reconciler.hosts.sandbox.mounts import Place
from reconciler.hosts.sandbox.update_client import Entry, Index
from reconciler.model.command import Command, Completed
from reconciler.today import today

_RUNNING = re.compile(r"(?P<release>[0-9]+\.[0-9]+-(?:RELEASE|(?:ALPHA|BETA|RC)[0-9]+))(?:-p(?P<level>[0-9]+))?")
_USAGE = "usage: freebsd-update [options] command ..."
_FLAGS = ("--not-running-from-cron", "-F")


@dataclass(slots=True)
class Run:
    """One invocation. `root` is where BASEDIR lies on the host; `top` what paths are relative to (a jail's root)."""

    machine: Machine
    answer: Answer
    top: str
    base: str
    work: str
    config: str
    release: str
    level: int

    def path(self, inner: str) -> str:
        """A path of the caller's as one of the host's."""
        return f"{self.top}{inner}"

    @property
    def root(self) -> str:
        """The tree that is looked into: BASEDIR, or what a link there leads to, which must be the whole jail."""
        place = self.machine.place(self.path(self.base), follow=False, write=False)
        if place.real.is_symlink():
            if os.readlink(place.real) != "/":
                raise Refusal(f"{self.base}: not a directory")
            return self.top
        return self.path(self.base).rstrip("/")

    @property
    def ready(self) -> str:
        """The name of the link to what was fetched."""
        return hashlib.sha256(f"{self.base}\n".encode()).hexdigest() + "-install"


def main(machine: Machine, command: Command) -> Completed:
    """Answer on the host."""
    return answered(machine, command, "")


def answered(machine: Machine, command: Command, top: str) -> Completed:
    """Answer for the host (""), or for a jail by the path of its root."""
    answer = Answer()
    try:
        run, verbs = _run(machine, command, answer, top.rstrip("/"))
        with machine.state.transaction():
            for verb in verbs:
                _VERBS[verb](run)
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    except OSError as error:
        answer.warn(f"freebsd-update: {error.filename or ''}: {reason(error)}")
    return answer.completed(command)


def _run(machine: Machine, command: Command, answer: Answer, top: str) -> tuple[Run, list[str]]:
    words = [word for word in command.argv[1:] if word not in _FLAGS]
    running = ""
    if "--currently-running" in words[:-1]:
        at = words.index("--currently-running")
        running = words[at + 1]
        del words[at : at + 2]
    given, verbs = options(words, "b:d:f:j:k:r:s:t:v:", _USAGE, 1)
    base = given.get("b", ["/"])[-1]
    if base != "/" and not running:
        raise Refusal("freebsd-update: --currently-running is required with -b")
    found = _RUNNING.fullmatch(running or "15.1-RELEASE")
    if found is None:
        raise Refusal(f"freebsd-update: Cannot upgrade from a version that is not a release: {running}")
    if not verbs or any(verb not in _VERBS for verb in verbs):
        raise Refusal(_USAGE)
    work = given.get("d", ["/var/db/freebsd-update"])[-1]
    config = given.get("f", ["/etc/freebsd-update.conf"])[-1]
    run = Run(machine, answer, top, base, work, config, found["release"], int(found["level"] or 0))
    for path in (work, base):
        if not machine.resolve(run.path(path), write=False).is_dir() and path != base:
            raise Refusal(f"Directory does not exist or is not writable: {path}")
    return run, verbs


def _fetch(run: Run) -> None:
    machine, answer = run.machine, run.answer
    conf = update_client.options(machine.resolve(run.path(run.config), write=False).read_text())
    get = _server(machine, " ".join(conf.get("ServerName", ())), f"{run.release}/amd64")
    answer.say(f"Looking up {' '.join(conf.get('ServerName', ()))} mirrors... none found.")
    tag = update_client.tag(get, run.release, "amd64", " ".join(conf.get("KeyPrint", ())), run.level, answer.say)
    old, new = update_client.indexes(get, tag, answer.say)
    components = conf.get("Components", ())
    old, new = update_client.filtered(old, components), update_client.filtered(new, components)
    answer.say("Inspecting system...")
    present = _present(run, {*old, *new})
    before, after, modified = update_client.decided(old, new, present, conf.get("UpdateIfUnmodified", ()))
    if modified:
        answer.say("The following files are affected by updates. No changes have\nbeen downloaded, however, "
                   "because the files have been modified\nlocally:\n" + "\n".join(modified))  # fmt: skip
    work = machine.place(run.path(run.work))
    _write(work.real / "tag", tag.dump())
    if not before and not after:
        answer.say(f"No updates needed to update system to {run.release}-p{tag.patch}.")
    else:
        _download(run, get, work.real, before, after, tag.patch)
    if tag.eol_date < today():
        ended = tag.eol_date.isoformat()
        answer.say(f"\nWARNING: {run.release}-p{run.level} HAS PASSED ITS END-OF-LIFE DATE.\n"
                   f"Any security issues discovered after {ended}\nwill not have been corrected.")  # fmt: skip
        answer.status = 1


def _server(machine: Machine, name: str, folder: str) -> update_client.Get:
    """What gives the files of a release on a server; nothing for a name that nobody answers to."""
    if name.startswith(("127.", "localhost")):
        return update_client.over_http(f"{name}/{folder}")
    served = machine.directory / "servers" / (name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name) else "-")

    def get(file: str) -> bytes | None:
        try:
            return beneath.read(served, f"{folder}/{file}")
        except OSError:
            return None

    return get


def _download(run: Run, get: update_client.Get, work: Path, before: Index, after: Index, level: int) -> None:
    (work / "files").mkdir(exist_ok=True)
    here = {path: _read(run, path) for path, entry in before.items() if entry.kind == "f"}
    for path, entry in after.items():
        if entry.kind == "f":
            data = update_client.content(get, entry.value, here.get(path))
            _write(work / "files" / f"{entry.value}.gz", gzip.compress(data, mtime=0))
    for path, old in here.items():
        _write(work / "files" / f"{before[path].value}.gz", gzip.compress(old, mtime=0))
    folder = work / f"install.{secrets.token_hex(3)}"
    folder.mkdir()
    for name, index in (("INDEX-OLD", before), ("INDEX-NEW", after)):
        _write(folder / name, "".join(f"{index[path].line}\n" for path in sorted(index)).encode())
    link = work / run.ready
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    for verb, paths in (
        ("removed", before.keys() - after.keys()),
        ("added", after.keys() - before.keys()),
        ("updated", after.keys() & before.keys()),
    ):
        if paths:
            run.answer.say(f"The following files will be {verb} as part of updating to\n{run.release}-p{level}:\n"
                           + "\n".join(sorted(paths)))  # fmt: skip


def _ready(run: Run) -> None:
    if run.machine.place(f"{run.path(run.work)}/{run.ready}", follow=False, write=False).real.is_symlink():
        run.answer.say("There are updates available to install.\nRun 'freebsd-update install' to proceed.")
    else:
        run.answer.say("No updates are available to install.")
        run.answer.status = 2


def _install(run: Run) -> None:
    machine = run.machine
    link = machine.place(f"{run.path(run.work)}/{run.ready}", follow=False)
    if not link.real.is_symlink():
        raise Refusal("No updates are available to install.\nRun 'freebsd-update fetch' first.", 2)
    if not machine.resolve(f"{run.root}/boot/kernel", write=False).is_dir():
        raise Refusal("Cannot identify running kernel")
    folder = link.real.parent / os.readlink(link.real)
    before, after = (update_client.index((folder / name).read_bytes()) for name in ("INDEX-OLD", "INDEX-NEW"))
    run.answer.say("Installing updates...")
    # As the real one: folders, then libraries, then what uses them.
    for path in sorted(after, key=lambda path: (after[path].kind != "d", "/lib" not in path, path)):
        _put(run, after[path], link.real.parent / "files")
    for path in sorted(before.keys() - after.keys(), reverse=True):
        place = _place(run, path)
        os.rmdir(place.real) if before[path].kind == "d" else os.unlink(place.real)
        machine.sidecar(place).drop(place.inside)
    link.real.unlink()
    shutil.rmtree(folder)
    run.answer.say(" done.")


def _put(run: Run, entry: Entry, files: Path) -> None:
    place = _place(run, entry.path)
    if entry.kind == "d":
        place.real.mkdir(exist_ok=True)
    elif entry.kind == "L":
        place.real.unlink(missing_ok=True)
        place.real.symlink_to(entry.value)
        return
    elif entry.kind == "f":
        data = update_client.unpacked((files / f"{entry.value}.gz").read_bytes())
        if data is None or hashlib.sha256(data).hexdigest() != entry.value:
            raise Refusal(f"{entry.value}: file is corrupt")
        beneath.write(place.tree, place.inside, data, int(entry.mode, 8) & 0o777 | 0o600)
    sidecar = run.machine.sidecar(place)
    sidecar.drop(place.inside)
    sidecar.chmod(place.inside, parse_mode(entry.mode, 0, folder=entry.kind == "d"))
    sidecar.flush()


def _place(run: Run, path: str, *, write: bool = True) -> Place:
    """Where a path of the tree is; a link on the way is refused, as it may lead out of it."""
    place = run.machine.place(f"{run.root}{path}", follow=False, write=write)
    if place.path != f"{run.root}{path}":
        raise OSError(errno.ELOOP, "Too many levels of symbolic links", path)
    return place


def _present(run: Run, paths: set[str]) -> Index:
    """What of these paths is there, as metadata."""
    found: Index = {}
    for path in paths:
        try:
            place = _place(run, path, write=False)
            info = os.lstat(place.real)
        except OSError:
            continue
        mode = f"{run.machine.sidecar(place).mode(place.inside):04o}"
        kind, value = "-", ""
        if stat.S_ISREG(info.st_mode):
            kind, value = "f", hashlib.sha256(beneath.read(place.tree, place.inside)).hexdigest()
        elif stat.S_ISDIR(info.st_mode):
            kind = "d"
        elif stat.S_ISLNK(info.st_mode):
            kind, value = "L", os.readlink(place.real)
        found[path] = Entry("world", "base", path, kind, "0", "0", mode, "0", value, "")
    return found


def _read(run: Run, path: str) -> bytes:
    place = _place(run, path, write=False)
    return beneath.read(place.tree, place.inside)


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


_VERBS = {"fetch": _fetch, "updatesready": _ready, "install": _install}
COMMAND = Simulated(("freebsd-update",), main, transaction=False)
