"""Starting and stopping one jail in the order of jail(8), and undoing a start that fails.

Nothing here holds the state's transaction while a hook runs: hooks call back into the simulator.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field

from reconciler.hosts.sandbox import jailparams, jailtable, network, processes
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.jailconf import Jail
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.task import Ended, Task
from reconciler.model.command import Command, Completed

START = (
    "exec.prepare", "ip4.addr", "ip6.addr", "mount", "mount.fstab", "mount.devfs", "mount.fdescfs",
    "mount.procfs", "exec.prestart", "create", "exec.created", "zfs.dataset", "vnet.interface", "exec.start",
    "command", "exec.poststart",
)  # fmt: skip
STOP = (
    "exec.prestop", "exec.stop", "remove", "exec.poststop", "mount.procfs", "mount.fdescfs", "mount.devfs",
    "mount.fstab", "mount", "ip6.addr", "ip4.addr", "exec.release",
)  # fmt: skip
_IN_JAIL = frozenset({"exec.start", "exec.stop", "command"})
_SHELL_SIGNS = re.compile(r"[!\"$&'()*;<>?\[\\\]`{|}~]")
_FILE_SYSTEMS = {"mount.devfs": ("devfs", "/dev"), "mount.fdescfs": ("fdescfs", "/dev/fd"),
                 "mount.procfs": ("procfs", "/proc")}  # fmt: skip
STOP_TIMEOUT = 10.0
"""Seconds between SIGTERM and SIGKILL when stop.timeout is not given."""


@dataclass(slots=True)
class Run:
    """One invocation of jail(8): what it prints, and how much."""

    machine: Machine
    command: Command
    answer: Answer
    verbose: bool = False
    quiet: bool = False
    from_file: bool = False
    note_remove: bool = False
    below: int = 0
    env: dict[str, str] = field(default_factory=dict)

    def warn(self, jail: Jail, words: str) -> None:
        """One line on standard error, named after the jail when it comes from a file."""
        self.answer.warn(f"jail: {jail.name + ': ' if self.from_file else ''}{words}")

    def note(self, jail: Jail, words: str) -> None:
        """One line on standard output."""
        self.answer.say(f"{jail.name + ': ' if jail.name else ''}{words}")


class Failed(Exception):
    """A step failed, and has said so."""


def flag(jail: Jail, name: str) -> bool:
    """A boolean of jail(8) itself: given bare, or with a true value."""
    if name not in jail.params:
        return False
    values = jail.params[name]
    return values is None or values[-1].lower() in ("", "1", "true", "yes")


def wanted(jail: Jail) -> dict[str, object]:
    """The kernel parameters of a jail, parsed; raises Refusal."""
    found: dict[str, object] = {}
    for name, values in jail.params.items():
        own = jailparams.positive(name)[0]
        if not jailparams.known(name):
            raise Refusal(f"unknown parameter: {name}")
        if own not in jailparams.PSEUDO:
            key, value = jailparams.parse(name, None if values is None else ",".join(values))
            found[key] = value
    if jail.name and "name" not in found and not jail.name.isdigit():
        found["name"] = jail.name
    elif jail.name.isdigit():
        found.setdefault("jid", jail.name)
    if flag(jail, "vnet.new"):
        found["vnet"] = "new"
    return found


def start(run: Run, jail: Jail) -> bool:
    """Bring a jail up; on failure take back what was done, as jail(8) does. True when it runs."""
    steps = [(kind, value) for kind in START for value in _values(run, jail, kind)]
    done = 0
    record: jailtable.Record | None = None
    try:
        for kind, value in steps:
            record = _begin(run, jail, kind, value, record)
            done += 1
    except (Failed, Refusal) as error:
        if isinstance(error, Refusal):
            run.warn(jail, error.message)
        for kind, value in reversed(steps[:done]):
            if not kind.startswith(("exec.", "command")):
                with suppress(Failed):  # it has said so, and the rest is taken back all the same
                    _end(run, jail, kind, value, record)
        return False
    if record is not None and not flag(jail, "persist"):
        _clear_persist(run, record)
    return True


def stop(run: Run, jail: Jail, record: jailtable.Record) -> bool:
    """Take a jail down by its configuration. True when all of it is gone.

    A step that fails keeps the jail; once it is removed, the others go on (main of usr.sbin/jail/jail.c).
    """
    whole, removed = True, False
    for kind in STOP:
        values = _values(run, jail, kind)
        if kind in ("mount", "mount.fstab", "ip4.addr", "ip6.addr"):
            values.reverse()
        for value in values:
            try:
                _end(run, jail, kind, value, record)
            except Failed:
                if not removed:
                    return False
                whole = False
        removed = removed or kind == "remove"
    return whole


def remove(run: Run, record: jailtable.Record, grace: float) -> None:
    """Kill a jail's processes and take it, and the jails inside it, out of the kernel."""
    machine = run.machine
    with machine.state.reading():
        inner = jailtable.all_jails(machine, int(record["jid"]))
    for each in [*reversed(inner), record]:
        processes.kill(each, grace)
        with machine.state.transaction():
            network.leave_vnet(machine, int(each["jid"]))
            jailtable.forget(machine, each)


def _clear_persist(run: Run, record: jailtable.Record) -> None:
    """A jail that was kept only while it started goes with its last process."""
    with run.machine.state.transaction():
        record = jailtable.find_number(run.machine, int(record["jid"]))
        record["values"]["persist"] = False
        run.machine.state.touch("jails", str(record["jid"]))
    if not processes.members(record):
        remove(run, record, 0)


def _values(run: Run, jail: Jail, kind: str) -> list[str]:
    """What there is to do for one kind of step."""
    if kind in ("create", "remove"):
        return [""]
    if kind in _FILE_SYSTEMS:
        return [""] if flag(jail, kind) else []
    if kind in ("ip4.addr", "ip6.addr"):
        return [word for value in jail.all(kind) for word in value.split(",") if word]
    if kind == "mount.fstab":
        return [line for name in jail.all(kind) for line in _fstab(run, jail, name)]
    if kind == "command" and not run.from_file:
        return ["\0".join(jail.all(kind))] if jail.all(kind) else []
    return [value for value in jail.all(kind) if value]


def _fstab(run: Run, jail: Jail, name: str) -> list[str]:
    if not name:
        return []
    try:
        text = run.machine.resolve(name, write=False).read_text()
    except OSError as error:
        raise Refusal(f"fstab: {name}: {error.strerror}") from error
    lines = [line.partition("#")[0] for line in text.splitlines()]
    return [line for line in lines if line.strip()]


def _begin(
    run: Run, jail: Jail, kind: str, value: str, record: jailtable.Record | None
) -> jailtable.Record | None:
    if kind == "create":
        return _create(run, jail)
    if kind in ("ip4.addr", "ip6.addr"):
        _alias(run, jail, kind, value, "alias")
    elif kind in ("mount", "mount.fstab"):
        kind_of, argv, target = _mount_line(run, jail, kind, value)
        _checked_path(run, jail, kind, target)
        _tool(run, jail, ("/sbin/mount", "-t", kind_of, *argv, target))
    elif kind in _FILE_SYSTEMS:
        name, place = _FILE_SYSTEMS[kind]
        target = _path(jail).rstrip("/") + place
        _checked_path(run, jail, kind, target)
        ruleset = jail.one("devfs_ruleset") or "4"
        options = (f"-oruleset={ruleset}",) if name == "devfs" else ()
        _tool(run, jail, ("/sbin/mount", "-t", name, *options, ".", target), source=name)
    elif kind == "vnet.interface" and record is not None:
        for word in value.split(","):
            _tool(run, jail, ("/sbin/ifconfig", word, "vnet", str(record["jid"])))
    elif kind == "zfs.dataset" and record is not None:
        _tool(run, jail, ("/sbin/zfs", "jail", str(record["jid"]), value))
    else:
        _hook(run, jail, kind, value, record)
    return record


def _end(run: Run, jail: Jail, kind: str, value: str, record: jailtable.Record | None) -> None:
    """Take one step back."""
    if kind in ("create", "remove"):
        if record is not None:
            timeout = jail.one("stop.timeout")
            grace = (float(timeout) if timeout else STOP_TIMEOUT) if kind == "remove" else 0.0
            remove(run, record, grace)
            if kind == "remove" and (run.verbose or run.note_remove) and not run.quiet:
                run.note(jail, "removed")
    elif kind in ("ip4.addr", "ip6.addr"):
        _alias(run, jail, kind, value, "-alias")
    elif kind in ("mount", "mount.fstab"):
        kind_of, _, target = _mount_line(run, jail, kind, value)
        _unmount(run, jail, kind, kind_of, target)
    elif kind in _FILE_SYSTEMS:
        name, place = _FILE_SYSTEMS[kind]
        _unmount(run, jail, kind, name, _path(jail).rstrip("/") + place)
    elif kind.startswith("exec."):
        _hook(run, jail, kind, value, record)


def _create(run: Run, jail: Jail) -> jailtable.Record:
    values = wanted(jail)
    stays = flag(jail, "persist")
    attaches = any(jail.all(name) for name in ("exec.start", "command", "exec.poststart"))
    if not stays and not attaches:
        _check_path_first(run, jail, values)
        raise Refusal("new jail must persist or attach")
    values["persist"] = True
    if run.verbose:
        words = [n if v is None else f"{n}={','.join(v)}" for n, v in jail.params.items()]
        run.note(jail, "jail_set(JAIL_CREATE) " + " ".join(w for w in words if w.split("=")[0] not in _OWN))
    with run.machine.state.transaction():
        record = jailtable.create(run.machine, values, below=run.below)
        if values.get("vnet") == "new":
            network.enter_vnet(run.machine, int(record["jid"]))
    if (run.verbose or run.from_file) and not run.quiet:
        run.note(jail, "created")
    return record


_OWN = frozenset(jailparams.PSEUDO)


def _check_path_first(run: Run, jail: Jail, values: dict[str, object]) -> None:
    path = str(values.get("path", "/"))
    if not run.machine.resolve(path, write=False).exists():
        raise Refusal(f"path {path}: No such file or directory")


def _path(jail: Jail) -> str:
    return jail.one("path") or "/"


def _alias(run: Run, jail: Jail, kind: str, value: str, verb: str) -> None:
    interface, bar, rest = value.partition("|")
    if not bar:
        interface, rest = jail.one("interface") or "", value
    if not interface:
        return
    address, *more = rest.split()
    family = "inet" if kind == "ip4.addr" else "inet6"
    if family == "inet" and "/" not in address:
        more = ["netmask", "255.255.255.255", *more]
    _tool(run, jail, ("/sbin/ifconfig", interface, family, address, *more, verb))


def _mount_line(run: Run, jail: Jail, kind: str, line: str) -> tuple[str, tuple[str, ...], str]:
    """The type, the options and source, and the target of an fstab(5) line."""
    fields = [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), f) for f in line.split()]
    if len(fields) < 3:
        run.warn(jail, f"{kind}: {line}: missing information")
        raise Failed
    options = ("-o", fields[3]) if len(fields) > 3 else ()
    return fields[2], (*options, fields[0]), fields[1]


def _checked_path(run: Run, jail: Jail, kind: str, path: str) -> None:
    """Below the jail's path no component may be missing or a link: that is where the jail could have put one."""
    above = _path(jail).rstrip("/")
    if not path.startswith("/"):
        run.warn(jail, f"{kind}: {path}: not an absolute pathname")
        raise Failed
    if not path.startswith(above + "/"):
        return
    here = above
    for part in path[len(above) + 1 :].split("/"):
        here += f"/{part}"
        try:
            mode = os.lstat(run.machine.resolve(here, follow=False)).st_mode
        except OSError as error:
            run.warn(jail, f"{kind}: {path if part == path.rpartition('/')[2] else here}: {error.strerror}")
            raise Failed from error
        if stat.S_ISLNK(mode):
            run.warn(jail, f"{kind}: {here} is a symbolic link")
            raise Failed


def _unmount(run: Run, jail: Jail, kind: str, fstype: str, target: str) -> None:
    with run.machine.state.reading():
        key = run.machine.mounts.at(os.path.normpath(target))
        there = run.machine.mounts.table[key]["fstype"] if key else ""
    if there != fstype:
        run.warn(jail, f"{kind}: {target}: not a {fstype + ' mount' if there else 'mount point'}")
        raise Failed
    _tool(run, jail, ("/sbin/umount", "-t", fstype, target))


def _tool(run: Run, jail: Jail, argv: tuple[str, ...], source: str = "") -> None:
    """Run one of the host's own tools; a mount from "." is shown with `source` in its place."""
    if run.verbose:
        run.note(jail, "run command: " + " ".join(argv))
    real = tuple(source if source and word == "." else word for word in argv)
    if _kept(run, run.machine.run(Command(real))):
        run.warn(jail, f"{' '.join(argv)}: failed")
        raise Failed


def _kept(run: Run, completed: Completed) -> int:
    """Put what a tool printed into our answer."""
    run.answer.out.append(completed.stdout.decode("utf-8", "surrogateescape"))
    run.answer.err.append(completed.stderr.decode("utf-8", "surrogateescape"))
    return completed.status


def _hook(run: Run, jail: Jail, kind: str, value: str, record: jailtable.Record | None) -> None:
    words = tuple(value.split("\0")) if kind == "command" else ()
    shown = " ".join(words) or value
    argv = words or (("/bin/sh", "-c", value) if _SHELL_SIGNS.search(value) else tuple(value.split()))
    inside = kind in _IN_JAIL and record is not None
    ended = _executed(run, jail, argv, record if inside else None, record)
    if run.verbose:
        run.note(jail, f"run command{' in jail' if inside else ''}: {shown}")
    completed = ended.completed
    if inside and jail.one("exec.consolelog"):
        _log(run, str(jail.one("exec.consolelog")), completed.stdout + completed.stderr)
        completed = Completed(argv, completed.status)
    _kept(run, completed)
    if ended.stage:
        run.warn(jail, f"exec {argv[0]}: {ended.reason}")
    if ended.timed_out:
        run.warn(jail, f"{shown}: timed out")
        raise Failed
    if completed.status:
        run.warn(jail, f"{shown}: failed")
        raise Failed


def _executed(
    run: Run, jail: Jail, argv: tuple[str, ...], record: jailtable.Record | None, known: jailtable.Record | None
) -> Ended:
    machine = run.machine
    clean = flag(jail, "exec.clean")
    env = {"PATH": "/bin:/usr/bin"} if clean else dict(run.env)
    if not clean:
        name = str(known["name"]) if known else jail.name or jail.one("name") or ""
        env |= {"JNAME": name, "JPATH": _path(jail), **({"JID": str(known["jid"])} if known else {})}
    limit = float(jail.one("exec.timeout") or 0) or run.command.timeout
    name = argv[0].rpartition("/")[2]
    if record is None and name != "sh" and name in machine._commands:
        return Ended(machine.run(Command(argv, env=tuple(env.items()))))
    jid = 0 if record is None else int(record["jid"])
    return processes.run(machine, Task(argv, jid, env, "/", timeout=limit))


def _log(run: Run, name: str, data: bytes) -> None:
    with open(run.machine.resolve(name), "ab", opener=lambda p, f: os.open(p, f | os.O_NOFOLLOW, 0o600)) as file:
        file.write(data)
