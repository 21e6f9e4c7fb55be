"""mount(8), mount_nullfs(8) and their kin: attach what the sandbox knows to its paths."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, field

from reconciler.hosts.sandbox import devices
from reconciler.hosts.sandbox.answer import Answer, Refusal, options, reason
from reconciler.hosts.sandbox.commands.zfs.mounting import mount_options
from reconciler.hosts.sandbox.fstab import Line, read
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.mounts import ABOVE, Mount
from reconciler.hosts.sandbox.unions import WHITEOUTS
from reconciler.model.command import Command, Completed

_USAGE = (
    "usage: mount [-adflpruvw] [-F fstab] [-o options] [-t ufs | external_type]\n"
    "       mount [-dfpruvw] special | node\n"
    "       mount [-dfpruvw] [-o options] [-t ufs | external_type] special node"
)
# Words that mount(8) shows, in its order, with the option that asks for each.
_SHOWN = {"noatime": "noatime", "noexec": "noexec", "nosuid": "nosuid", "nosymfollow": "nosymfollow",
          "ro": "read-only", "sync": "synchronous", "union": "union"}  # fmt: skip
_SHORT = {"noatime": "noatime", "noexec": "noexec", "nosuid": "nosuid", "nosymfollow": "nosymfollow",
          "synchronous": "sync", "union": "union", "nfsv4acls": "nfsv4acls"}  # fmt: skip
_ANY = frozenset(
    (*_SHOWN, *_SHORT, "rw", "rdonly", "atime", "exec", "suid", "symfollow", "async", "late", "noauto", "auto",
     "failok", "current", "update", "nocover", "emptydir", "multilabel")
)  # fmt: skip
_OWN: dict[str, frozenset[str]] = {
    "tmpfs": frozenset({"size", "inodes", "uid", "gid", "mode", "maxfilesize", "nonc", "pgread", "export"}),
    "devfs": frozenset({"ruleset"}),
    "nullfs": frozenset({"cache", "nocache", "nounixbypass"}),
    "fdescfs": frozenset({"linrdlnk", "nodup", "rdlnk"}),
    "procfs": frozenset(),
    "linprocfs": frozenset(),
    "linsysfs": frozenset(),
    "unionfs": frozenset({"below", "copymode", "whiteout", "udir", "ufile", "uid", "gid"}),
    "zfs": frozenset({"setuid", "nosetuid"}),
}
# File systems without a source show this one, whatever was asked for (vfs_mountedfrom of each of them).
_SOURCELESS = frozenset({"devfs", "fdescfs", "linprocfs", "linsysfs", "procfs", "tmpfs"})
_LOCAL = frozenset({"nullfs", "tmpfs", "unionfs", "zfs", "procfs", "linprocfs", "linsysfs"})


@dataclass(frozen=True, slots=True)
class _Request:
    program: str
    fstype: str
    source: str
    target: str
    asked: list[str] = field(default_factory=list)

    def refuse(self, what: str, number: int, status: int = 1) -> Refusal:
        return Refusal(f"{self.program}: {what}: {reason(number)}", status)


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    name = command.argv[0].rsplit("/", 1)[-1]
    try:
        if name == "mount":
            _mount(machine, answer, list(command.argv[1:]))
        else:
            given, operands = options(command.argv[1:], "o:", f"usage: {name} [-o options] target mount_point", 64)
            if len(operands) != 2:
                raise Refusal(f"usage: {name} [-o options] target mount_point", 64)
            asked = ",".join(given.get("o", [])).split(",")
            source, target = operands
            asked = [word for word in asked if word]
            _attach(machine, _Request(name, name.removeprefix("mount_"), source, target, asked))
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    return answer.completed(command)


def _mount(machine: Machine, answer: Answer, argv: list[str]) -> None:
    style = ""
    if argv[:1] == ["--libxo"]:
        style, argv = argv[1], argv[2:]
    elif argv and argv[0].startswith("--libxo="):
        style, argv = argv[0].partition("=")[2], argv[1:]
    given, operands = options(argv, "adF:fLlno:prt:uvw", _USAGE, 1)
    asked = [word for word in ",".join(given.get("o", [])).split(",") if word]
    asked += ["ro"] if "r" in given else []
    if "a" in given:
        _all(machine, answer, given)
    elif not operands:
        _show(machine, answer, given, style)
    elif "u" in given or "update" in asked:
        _update(machine, operands[-1], asked)
    elif len(operands) == 2:
        fstype = given.get("t", ["ufs"])[-1]
        program = f"mount_{fstype}" if fstype in ("nullfs", "unionfs") else "mount"
        _attach(machine, _Request(program, fstype, operands[0], operands[1], asked))
    else:
        _from_fstab(machine, operands[0], given)


def _lines(machine: Machine, given: dict[str, list[str]]) -> list[Line]:
    path = given.get("F", ["/etc/fstab"])[-1]
    try:
        return read(machine.resolve(path, write=False).read_text(errors="surrogateescape"))
    except OSError as error:
        raise Refusal(f"mount: {path}: {reason(error)}") from error


def _from_fstab(machine: Machine, operand: str, given: dict[str, list[str]]) -> None:
    for line in _lines(machine, given):
        if operand in (line.source, line.target):
            program = "mount_nullfs" if line.fstype == "nullfs" else "mount"
            _attach(machine, _Request(program, line.fstype, line.source, line.target, list(line.options)))
            return
    raise Refusal(f"mount: {operand}: unknown special file or file system")


def _all(machine: Machine, answer: Answer, given: dict[str, list[str]]) -> None:
    kinds = ",".join(given.get("t", [])).split(",") if "t" in given else []
    for line in _lines(machine, given):
        late = "late" in line.options and "l" not in given
        if line.fstype == "swap" or "noauto" in line.options or late or (kinds and line.fstype not in kinds):
            continue
        if _mounted(machine, line):
            continue
        program = "mount_nullfs" if line.fstype == "nullfs" else "mount"
        try:
            _attach(machine, _Request(program, line.fstype, line.source, line.target, list(line.options)))
        except Refusal as refusal:
            answer.warn(refusal.message, 0 if "failok" in line.options else refusal.status)


def _mounted(machine: Machine, line: Line) -> bool:
    try:
        key = machine.mounts.at(machine.place(line.target, write=False).path)
    except OSError:
        return False
    return key is not None and machine.mounts.table[key]["source"] == line.source


def _words(request: _Request) -> tuple[list[str], list[str]]:
    """The options that are shown, and the file system's own; Refusal for one it does not know."""
    if request.fstype not in _OWN:
        raise Refusal(f"mount: {request.source}: Invalid fstype: Invalid argument")
    args = []
    for word in request.asked:
        name = word.partition("=")[0]
        if name in _OWN[request.fstype]:
            args.append(word)
        elif name not in _ANY and word != request.fstype:
            raise Refusal(f"{request.program}: {request.source}: mount option <{name}> is unknown: Invalid argument")
    wanted = {"ro" if word == "rdonly" else word for word in request.asked}
    shown = ["local"] if request.fstype in _LOCAL else []
    return shown + [text for word, text in _SHOWN.items() if word in wanted], args


def _attach(machine: Machine, request: _Request) -> None:
    shown, args = _words(request)
    missing = 64 if request.fstype == "nullfs" else 1
    target, is_folder = _existing(machine, request, request.target, missing)
    source = request.fstype if request.fstype in _SOURCELESS else request.source
    if request.fstype == "nullfs":
        source, folder = _existing(machine, request, request.source, missing)
        if folder != is_folder:
            raise request.refuse(request.target, errno.ENOTDIR)
        _refuse_loop(machine, request, source, target)
    elif not is_folder:
        raise request.refuse(request.target, errno.ENOTDIR)
    if request.fstype == "unionfs":
        source = ABOVE + _upper(machine, request)
    if request.fstype == "zfs":
        if machine.pool.get(source) is None:
            raise request.refuse(source, errno.ENOENT)
        if machine.mounts.of(source) and "@" not in source:
            raise request.refuse(source, errno.EBUSY)
        shown = mount_options(machine, source, request.asked)
    key = machine.mounts.add(request.fstype, source, target, shown, args)
    if request.fstype == "devfs":
        _fill(machine, key, args)


def _upper(machine: Machine, request: _Request) -> str:
    """The upper folder of a union. One that has no whiteouts is refused, for nothing here refuses each deletion."""
    source, folder = _existing(machine, request, request.source, 1)
    if not folder:
        raise request.refuse(request.source, errno.ENOTDIR)
    fstype = machine.mounts.table[machine.place(source, write=False).mount]["fstype"]
    if "below" in request.asked or fstype not in WHITEOUTS:
        raise request.refuse(request.source, errno.EOPNOTSUPP)
    return source


def _existing(machine: Machine, request: _Request, path: str, status: int) -> tuple[str, bool]:
    """The canonical name of a path that must exist, and whether it is a folder."""
    if not path.startswith("/"):
        raise request.refuse(path, errno.ENOENT, status)
    try:
        place = machine.place(path, write=False)
        place.real.lstat()
    except OSError as error:
        raise request.refuse(path, error.errno or errno.ENOENT, status) from error
    return place.path, place.real.is_dir()


def _refuse_loop(machine: Machine, request: _Request, source: str, target: str) -> None:
    """A nullfs of itself, or of what it already covers, deadlocks."""
    key = machine.mounts.at(target)
    covered = machine.mounts.table[key] if key else None
    if source == target or (covered and covered["fstype"] == "nullfs" and covered["source"] == source):
        raise request.refuse(request.target, errno.EDEADLK)


def _fill(machine: Machine, key: str, args: list[str]) -> None:
    """The names a ruleset leaves to see. Rulesets without rules hide nothing."""
    ruleset = next((word.partition("=")[2] for word in args if word.startswith("ruleset=")), "0")
    folder = machine.directory / "devfs" / key
    for name in devices.visible(machine, int(ruleset) if ruleset.isdigit() else 0):
        if name in ("fd", "pts"):
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).touch()


def _update(machine: Machine, operand: str, asked: list[str]) -> None:
    try:
        key = machine.mounts.at(machine.place(operand, write=False).path)
    except OSError as error:
        raise Refusal(f"mount: {operand}: {reason(error)}") from error
    if key is None:
        raise Refusal(f"mount: {operand}: not currently mounted")
    mount = machine.mounts.table[key]
    request = _Request("mount", mount["fstype"], mount["source"], operand, [w for w in asked if w != "update"])
    shown, _args = _words(request)
    mount["options"] = mount_options(machine, mount["source"], request.asked) if mount["fstype"] == "zfs" else shown
    machine.state.touch("mounts", key)


def _show(machine: Machine, answer: Answer, given: dict[str, list[str]], style: str) -> None:
    kinds = ",".join(given.get("t", [])).split(",") if "t" in given else []
    rows = [mount for mount in machine.mounts.all() if not kinds or mount["fstype"] in kinds]
    if style:
        answer.out.append(_json(rows, pretty="pretty" in style.split(",")))
        return
    for mount in rows:
        if "p" in given:
            answer.say(_as_fstab(mount))
        else:
            words = ", ".join([mount["fstype"], *mount["options"]])
            answer.say(f"{mount['source']} on {mount['target']} ({words})")


def _as_fstab(mount: Mount) -> str:
    def column(text: str) -> str:
        return text + "\t" * sum(len(text) < width for width in (8, 16)) + ("\t" if len(text) < 24 else " ")

    words = ["ro" if "read-only" in mount["options"] else "rw"]
    words += [_SHORT[word] for word in mount["options"] if word in _SHORT]
    text = ",".join(words)
    passes = "1 1" if mount["target"] == "/" else "0 0"
    tail = "\t" if len(text) < 8 else " "
    source = mount["source"].removeprefix(ABOVE)
    return f"{column(source)}{column(mount['target'])}{mount['fstype']}\t{text}{tail}\t{passes}"


def _json(rows: list[Mount], *, pretty: bool) -> str:
    mounted = []
    for mount in rows:
        entry: dict[str, object] = {
            "special": mount["source"],
            "node": mount["target"],
            "fstype": mount["fstype"],
        }
        if mount["options"]:
            entry["opts"] = mount["options"]
        mounted.append(entry)
    document = {"mount": {"mounted": mounted}}
    if pretty:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"


COMMAND = Simulated(("mount", "mount_nullfs"), _main)
