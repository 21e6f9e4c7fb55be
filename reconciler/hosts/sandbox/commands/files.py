"""mkdir, rmdir, rm, ln, mv, cp, touch and install on the machine's own paths."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Sequence

from reconciler.hosts.sandbox import beneath
from reconciler.hosts.sandbox.answer import Answer, Refusal, options, reason
from reconciler.hosts.sandbox.content import copy_tree
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.modes import parse_mode, set_owner
from reconciler.hosts.sandbox.mounts import Place
from reconciler.model.command import Command, Completed

_IMMUTABLE = frozenset({"schg", "uchg", "schange", "uchange", "simmutable", "uimmutable", "sunlnk", "uunlnk"})


def _usage(name: str) -> str:
    return f"usage: {name} [options] file ..."


def place_for_change(machine: Machine, path: str) -> Place:
    """Where a path is, that is about to change: not through a link at its end, not read-only."""
    place = machine.place(path, follow=False)
    if not machine.mounts.writable(place.mount):
        raise OSError(errno.EROFS, "Read-only file system")
    return place


def _mkdir(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "pvm:", "usage: mkdir [-pv] [-m mode] directory_name ...", 64)
    if not operands:
        raise Refusal("usage: mkdir [-pv] [-m mode] directory_name ...", 64)
    for path in operands:
        parts = [part for part in path.split("/") if part]
        prefixes = ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))] if "p" in given else [path]
        try:
            for prefix in prefixes:
                place = place_for_change(machine, prefix)
                if "p" in given and machine.resolve(prefix).is_dir():
                    continue
                with beneath.parent(place.tree, place.inside) as (fd, name):
                    os.mkdir(name, 0o755, dir_fd=fd)
            if "m" in given:
                place = place_for_change(machine, path)
                sidecar = machine.sidecar(place)
                sidecar.chmod(place.inside, parse_mode(given["m"][-1], sidecar.mode(place.inside), folder=True))
                sidecar.flush()
        except OSError as error:
            answer.warn(f"mkdir: {path}: {reason(error)}")


def _rmdir(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    _given, operands = options(argv, "pv", _usage("rmdir"))
    for path in operands:
        try:
            place = place_for_change(machine, path)
            if machine.mounts.at(place.path):
                raise OSError(errno.EBUSY, "Device busy")
            with beneath.parent(place.tree, place.inside) as (fd, name):
                os.rmdir(name, dir_fd=fd)
            machine.sidecar(place).drop(place.inside)
            machine.sidecar(place).flush()
        except OSError as error:
            answer.warn(f"rmdir: {path}: {reason(error)}")


def _rm(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "dfiIPRrvWx", "usage: rm [-f | -i] [-dIPRrvWx] file ...", 64)
    recursive = bool({"r", "R"} & given.keys())
    for path in operands:
        try:
            place = place_for_change(machine, path)
            info = os.lstat(place.real)
            if place.path == "/":
                raise OSError(errno.EINVAL, "Invalid argument")
            if stat.S_ISDIR(info.st_mode) and not recursive and "d" not in given:
                answer.warn(f"rm: {path}: is a directory")
                continue
            _Removal(machine, answer, place).remove(path)
        except FileNotFoundError as error:
            if "f" not in given:
                answer.warn(f"rm: {path}: {reason(error)}")
        except OSError as error:
            answer.warn(f"rm: {path}: {reason(error)}")


class _Removal:
    """Removes a tree by descriptors; stays off what is mounted below, which is busy."""

    def __init__(self, machine: Machine, answer: Answer, place: Place) -> None:
        self.machine, self.answer, self.place = machine, answer, place
        self.sidecar = machine.sidecar(place)

    def remove(self, shown: str) -> None:
        with beneath.parent(self.place.tree, self.place.inside) as (fd, name):
            self._one(fd, name, self.place.inside, self.place.path, shown)
        self.sidecar.flush()

    def _one(self, fd: int, name: str, inside: str, path: str, shown: str) -> bool:
        if self.machine.mounts.at(path):
            self.answer.warn(f"rm: {shown}: Device busy")
            return False
        if _IMMUTABLE & set(self.sidecar.get(inside).get("flags", ())):
            self.answer.warn(f"rm: {shown}: Operation not permitted")
            return False
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=fd)
        else:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            try:
                names = sorted(os.listdir(below))
                gone = [self._one(below, n, f"{inside}/{n}", f"{path}/{n}", f"{shown}/{n}") for n in names]
            finally:
                os.close(below)
            if not all(gone):
                self.answer.warn(f"rm: {shown}: Directory not empty")
                return False
            os.rmdir(name, dir_fd=fd)
        self.sidecar.drop(inside)
        return True


def _into(machine: Machine, source: str, target: str) -> str:
    """A target that is a folder takes the source under its own name."""
    return (
        f"{target.rstrip('/')}/{os.path.basename(source.rstrip('/'))}" if machine.resolve(target).is_dir() else target
    )


def _ln(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(
        argv, "fFhinsv", "usage: ln [-s [-F] | -L | -P] [-f | -i] [-hnv] source_file [target_file]"
    )
    if len(operands) != 2:
        raise Refusal("usage: ln [-s [-F] | -L | -P] [-f | -i] [-hnv] source_file [target_file]")
    source, target = operands
    try:
        if not {"h", "n"} & given.keys():
            target = _into(machine, source, target)
        place = place_for_change(machine, target)
        with beneath.parent(place.tree, place.inside) as (fd, name):
            if "f" in given and os.path.lexists(place.real):
                os.unlink(name, dir_fd=fd)
            if "s" in given:
                os.symlink(source, name, dir_fd=fd)
                return
            old = machine.place(source, follow=False)
            if old.tree != place.tree:
                raise OSError(errno.EXDEV, "Cross-device link")
            with beneath.parent(old.tree, old.inside) as (old_fd, old_name):
                os.link(old_name, name, src_dir_fd=old_fd, dst_dir_fd=fd, follow_symlinks=False)
    except OSError as error:
        answer.warn(f"ln: {target}: {reason(error)}")


def _mv(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    _given, operands = options(argv, "finhv", "usage: mv [-f | -i | -n] [-hv] source target", 64)
    if len(operands) < 2:
        raise Refusal("usage: mv [-f | -i | -n] [-hv] source target", 64)
    for source in operands[:-1]:
        try:
            old = place_for_change(machine, source)
            os.lstat(old.real)
            new = place_for_change(machine, _into(machine, source, operands[-1]))
            if machine.mounts.below(old.path) or machine.mounts.at(old.path):
                raise OSError(errno.EBUSY, "Device busy")
            if old.tree != new.tree:
                _copy(old, new)
                _Removal(machine, answer, old).remove(source)
            else:
                _rename(old, new)
            _move_meta(machine, old, new)
        except OSError as error:
            answer.warn(f"mv: {source}: {reason(error)}")


def _rename(old: Place, new: Place) -> None:
    with (
        beneath.parent(old.tree, old.inside) as (old_fd, old_name),
        beneath.parent(new.tree, new.inside) as (fd, name),
    ):
        os.rename(old_name, name, src_dir_fd=old_fd, dst_dir_fd=fd)


def _move_meta(machine: Machine, old: Place, new: Place, *, keep: bool = False) -> None:
    before, after = machine.sidecar(old), machine.sidecar(new)
    prefix = old.inside + "/"
    known = {p: m for p, m in before.all().items() if p == old.inside or p.startswith(prefix)}
    after.drop(new.inside)
    for path, meta in known.items():
        after.put(new.inside + path[len(old.inside) :], meta)
    if not keep and known:
        before.drop(old.inside)
    before.flush()
    after.flush()


def _copy(old: Place, new: Place) -> None:
    with beneath.parent(new.tree, new.inside):
        mode = os.lstat(old.real).st_mode
        if stat.S_ISDIR(mode):
            copy_tree(old.real, new.real, {}, "")
        else:
            shutil.copy2(old.real, new.real, follow_symlinks=False)


def _cp(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(
        argv, "aRrpfinxPHLlsv", "usage: cp [-R [-H | -L | -P]] [-f | -i | -n] [-alpsvx] source target"
    )
    if len(operands) < 2:
        raise Refusal("usage: cp [-R [-H | -L | -P]] [-f | -i | -n] [-alpsvx] source target")
    deep = bool({"a", "R", "r"} & given.keys())
    for source in operands[:-1]:
        try:
            old = machine.place(source, follow=not deep, write=False)
            if stat.S_ISDIR(os.lstat(old.real).st_mode) and not deep:
                answer.warn(f"cp: {source} is a directory (not copied).")
                continue
            new = place_for_change(machine, _into(machine, source, operands[-1]))
            _copy(old, new)
            if {"a", "p"} & given.keys():
                _move_meta(machine, old, new, keep=True)
        except OSError as error:
            answer.warn(f"cp: {source}: {reason(error)}")


def _touch(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "acfhmA:d:r:t:", _usage("touch"))
    for path in operands:
        try:
            place = machine.place(path)
            if not machine.mounts.writable(place.mount):
                raise OSError(errno.EROFS, "Read-only file system")
            with beneath.parent(place.tree, place.inside) as (fd, name):
                if os.path.lexists(place.real):
                    os.utime(name, dir_fd=fd, follow_symlinks=False)
                elif "c" not in given:
                    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=fd))
        except OSError as error:
            answer.warn(f"touch: {path}: {reason(error)}")


def _install(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    given, operands = options(argv, "bCcdMpSsvUB:D:f:g:h:l:m:N:o:T:", _usage("install"), 64)
    mode = int(given.get("m", ["755"])[-1], 8)
    targets = operands
    try:
        if "d" in given:
            _mkdir(machine, answer, ["-p", *operands])
        else:
            target = _into(machine, operands[0], operands[-1])
            targets = [target]
            old = machine.place(operands[0], write=False)
            new = place_for_change(machine, target)
            beneath.write(new.tree, new.inside, beneath.read(old.tree, old.inside), 0o644)
        for path in targets:
            place = place_for_change(machine, path)
            sidecar = machine.sidecar(place)
            sidecar.chmod(place.inside, mode)
            set_owner(machine, place, given.get("o", [""])[-1], given.get("g", [""])[-1])
            sidecar.flush()
    except OSError as error:
        answer.warn(f"install: {operands[-1] if operands else ''}: {reason(error)}", 71)


_NAMES: dict[str, Callable[[Machine, Answer, Sequence[str]], None]] = {
    "mkdir": _mkdir, "rmdir": _rmdir, "rm": _rm, "ln": _ln, "mv": _mv, "cp": _cp, "touch": _touch,
    "install": _install,
}  # fmt: skip


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    try:
        _NAMES[command.argv[0].rsplit("/", 1)[-1]](machine, answer, command.argv[1:])
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    return answer.completed(command)


COMMAND = Simulated(tuple(_NAMES), _main)
