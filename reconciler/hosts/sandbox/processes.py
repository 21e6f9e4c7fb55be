"""Real processes of jails and of the sandbox host, in namespaces of their own.

A jail's processes live in user, mount, process, name, ipc and network namespaces that the jail's first
process holds; every process gets a root made from the mount table as it is when it starts. Nothing but
read-only programs of the developer's machine can be seen from inside. See `confine.py`.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox import devices, jailtable, session, unconfined, userland
from reconciler.hosts.sandbox.facts import fact, set_fact
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.task import Ended, Task
from reconciler.model.command import Completed
from reconciler.model.diagnostic import Diagnostic, HostError

PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
FIRST_ENV = {"PATH": PATH, "HOME": "/root", "SHELL": "/bin/sh", "USER": "root", "LANG": "C.UTF-8"}
HIDDEN_NAMES = userland.HIDDEN_NAMES
"""Paths, relative to a root, of mount points made on demand; what the host shows must leave them out."""
Told = tuple[str, int]
"""How far the helper came, and a process number or an error's."""
NOTHING_TOLD: Told = ("", 0)


def run(machine: Machine, task: Task) -> Ended:
    """Run a process to its end; raises HostError `sandbox-no-namespaces` where the kernel refuses them."""
    try:
        user = _host_init(machine)
    except HostError:
        if machine.unconfined:
            return unconfined.run(machine, task)
        raise
    spec = _spec(machine, task.jail, user)
    spec.update({"argv": list(task.argv), "env": {**FIRST_ENV, **task.env}, "cwd": task.cwd})
    with session.opened(machine, task.jail) as folder:
        spec["own"].append([str(folder), f"{userland.PLACE}/run", True, False])
        return _started(machine, spec, task)


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with its number, its identity. None when gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def alive(identity: Any) -> int | None:
    """The pid of a `[pid, start]` pair whose process still runs."""
    if identity and start_time(int(identity[0])) == identity[1]:
        return int(identity[0])
    return None


def members(record: jailtable.Record) -> list[int]:
    """The pids (of this machine) in a jail, without its first process."""
    first = alive(record["init"])
    if first is None:
        return []
    try:
        wanted = os.readlink(f"/proc/{first}/ns/pid")
    except OSError:
        return []
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != first:
            try:
                if os.readlink(f"/proc/{name}/ns/pid") == wanted and start_time(int(name)) is not None:
                    found.append(int(name))
            except OSError:
                continue
    return found


def kill(record: jailtable.Record, grace: float) -> None:
    """End every process of a jail: SIGTERM, up to `grace` seconds, then SIGKILL to all at once."""
    first = alive(record["init"])
    if first is None:
        return
    if grace > 0:
        for pid in members(record):
            _signal(pid, signal.SIGTERM)
        limit = time.monotonic() + grace
        while members(record) and time.monotonic() < limit:
            time.sleep(0.01)
    _signal(first, signal.SIGKILL)
    limit = time.monotonic() + 10
    while alive(record["init"]) is not None and time.monotonic() < limit:
        time.sleep(0.002)


def kill_everything(machine: Machine) -> None:
    """End every process of the sandbox, as a power cycle does."""
    with machine.state.reading():
        held = [r["init"] for r in jailtable.all_jails(machine)] + [fact(machine, "host.init")]
    for identity in held:
        kill({"init": identity}, 0)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _host_init(machine: Machine) -> int:
    """The process that holds the sandbox host's namespaces, started when there is none."""
    first = _first_process(machine)
    if first is not None:
        return first
    if sys.platform != "linux":
        raise _refused("only Linux has them")
    # One at a time, whatever threads and processes share the sandbox: two at once would be strangers to each other.
    with (machine.directory / "first-process.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first = _first_process(machine)
        if first is None:
            _started(machine, _spec(machine, 0, None), Task((), 0))
            first = _first_process(machine)
    if first is None:
        raise _refused("the first process of the host ended at once")
    return first


def _first_process(machine: Machine) -> int | None:
    with machine.state.reading():
        return alive(fact(machine, "host.init"))


def _spec(machine: Machine, jid: int, user: int | None) -> dict[str, Any]:
    """What confine.py needs to know, apart from the command."""
    with machine.state.transaction():
        land = userland.prepare(machine.directory, tuple(sorted(machine._commands)))
        if jid:
            record = jailtable.find_number(machine, jid)
            values, first = record["values"], alive(record["init"])
            path, hostname, vnet = str(values["path"]), values["host.hostname"], values["vnet"] == "new"
        else:
            first, path, vnet = user, "/", False
            hostname = str(fact(machine, "kern.hostname"))
        root = machine.resolve(path)
        readonly, mounts, device_mounts = _mounts(machine, path)
    foreign = userland.foreign_folders(root) if jid else ["bin", "sbin", "usr/bin", "usr/sbin"]
    lower = "host" if not jid else "base"
    mounts += [[str(land.folder), userland.PLACE, True, False]]
    mounts += [[real, target, True, True] for real, target in land.mounts]
    overlays = [[f"/{f}", [f"{userland.PLACE}/{lower}/{f}", f"/{f}"]] for f in foreign]
    return {
        "jail": jid, "root": str(root), "readonly": readonly, "mounts": mounts, "devices": device_mounts,
        "overlays": overlays, "hostname": hostname or "", "vnet": vnet, "join_user": user,
        "join": first, "make": first is None, "own": [], "argv": None, "env": {}, "cwd": "/", "die_with_caller": True,
        "helper": str(land.folder / userland.HELPER),
    }  # fmt: skip


def _mounts(machine: Machine, path: str) -> tuple[bool, list[list[Any]], dict[str, list[list[Any]]]]:
    """Mounts below a jail's path as (source, place inside, readonly, recursive), and its /dev folders."""
    mounts: list[list[Any]] = []
    found: dict[str, list[list[Any]]] = {}
    readonly = False
    rows = list(reversed(machine.mounts_below(path)))
    for row in rows:
        target = str(row["target"])
        inside = target if path == "/" else target[len(path.rstrip("/")) :]
        fixed = "read-only" in row["options"] or "ro" in row["options"]
        if inside in ("", "/"):
            readonly = readonly or (fixed and path != "/")
            continue
        if row["fstype"] == "devfs":
            # What the mount made visible, by the ruleset that it was mounted with.
            names = sorted(os.listdir(machine.resolve(target, write=False)))
            found[inside] = [[n, n in devices.REAL] for n in names]
        elif row["fstype"] not in ("procfs", "fdescfs", "linprocfs", "linsysfs"):
            mounts.append([str(machine.resolve(target, write=not fixed)), inside, fixed, False])
    if path == "/":
        found["/dev"] = [[n, n in devices.REAL] for n in devices.NAMES]
    return readonly, mounts, found


def _refused(why: str) -> HostError:
    return HostError(
        Diagnostic(
            "sandbox-no-namespaces",
            "this machine does not let the sandbox isolate processes",
            f"Jail and host code runs in Linux user namespaces, and the kernel refused them: {why}.",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0   # or use --unconfined, without isolation",
        )
    )


def _record_init(machine: Machine, jid: int, pid: int) -> None:
    identity = [pid, start_time(pid)]
    with machine.state.transaction():
        if not jid:
            set_fact(machine, "host.init", identity)
            return
        jailtable.find_number(machine, jid)["init"] = identity
        machine.state.touch("jails", str(jid))


def _started(machine: Machine, spec: dict[str, Any], task: Task) -> Ended:
    """Start confine.py with its three pipes, and see it through."""
    told, tell = os.pipe()
    heard, report = os.pipe()
    go, let = os.pipe()
    spec.update({"report": report, "go": go})
    helper = spec.pop("helper")
    fed = getattr(task.stdin, "fd", None)
    process = subprocess.Popen(
        (sys.executable, "-I", "-S", helper, str(told)),
        stdin=fed if fed is not None else subprocess.PIPE if task.stdin else subprocess.DEVNULL,
        stdout=None if task.direct else subprocess.PIPE, stderr=None if task.direct else subprocess.PIPE,
        pass_fds=(told, report, go), start_new_session=True, umask=-1 if task.direct else 0o022,
    )  # fmt: skip
    for fd in (told, report, go):
        os.close(fd)
    with os.fdopen(tell, "wb") as file:
        marshal.dump(spec, file)
    feeder = threading.Thread(target=_feed, args=(process, task.stdin), daemon=True)
    if process.stdin is not None:
        feeder.start()
    try:
        problem = _reports(machine, spec, heard, let)
        return _watched(process, task, problem, heard)
    finally:
        os.close(let)
        os.close(heard)
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _reports(machine: Machine, spec: dict[str, Any], heard: int, let: int) -> Told:
    """Read the helper's first report where it makes namespaces, put it on record, and let it go on."""
    if not spec["make"]:
        return NOTHING_TOLD
    stage, number = _told(_line(heard) or b"namespaces 0")
    if stage != "init":
        return stage, number
    _record_init(machine, spec["jail"], number)
    os.write(let, b"g")
    return NOTHING_TOLD


def _told(line: bytes) -> Told:
    stage, _, number = line.decode().partition(" ")
    return stage, int(number)


def _line(fd: int) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(fd, 1)
        if not piece:
            return b""
        data += piece
    return data


def _feed(process: subprocess.Popen[bytes], source: bytes | Iterable[bytes]) -> None:
    pieces: Iterator[bytes] = iter((source,)) if isinstance(source, bytes) else iter(source)
    assert process.stdin is not None
    try:
        for piece in pieces:
            process.stdin.write(piece)
            process.stdin.flush()  # whoever types waits for the answer
        process.stdin.close()
    except (BrokenPipeError, ValueError, OSError):
        return


def _watched(process: subprocess.Popen[bytes], task: Task, problem: Told, heard: int) -> Ended:
    """Gather output until the process ends; a daemon that keeps the pipes open is not waited for."""
    kept: dict[int, bytearray] = {}
    pidfd = os.pidfd_open(process.pid)
    limit = time.monotonic() + task.timeout
    timed_out = False
    with selectors.DefaultSelector() as chosen:
        for stream in filter(None, (process.stdout, process.stderr)):
            os.set_blocking(stream.fileno(), False)
            kept[stream.fileno()] = bytearray()
            chosen.register(stream.fileno(), selectors.EVENT_READ)
        chosen.register(pidfd, selectors.EVENT_READ)
        running = True
        while running:
            ready = [key.fd for key, _ in chosen.select(max(0.0, limit - time.monotonic()))]
            if not ready and time.monotonic() >= limit:
                if timed_out:
                    process.kill()
                process.send_signal(signal.SIGALRM)
                timed_out = True
                limit += 5
            running = pidfd not in ready
            for fd in kept if not running else [fd for fd in ready if fd != pidfd]:
                if not _drain(fd, kept[fd], task) and fd in chosen.get_map():
                    chosen.unregister(fd)
    os.close(pidfd)
    status = process.wait()
    out, err = (bytes(kept[stream.fileno()]) if stream else b"" for stream in (process.stdout, process.stderr))
    os.set_blocking(heard, False)
    stage, number = problem if problem[0] else _last(heard)
    if stage in ("namespaces", "build"):
        raise _refused(f"{stage}: {os.strerror(number or 1)} {err.decode(errors='replace')}".strip())
    status = 128 - status if status < 0 else status
    reason = os.strerror(number) if stage else ""
    return Ended(Completed(task.argv, status, out, err), stage, reason, timed_out)


def _last(heard: int) -> Told:
    try:
        data = os.read(heard, 4096)
    except BlockingIOError:
        return NOTHING_TOLD
    return _told(data.splitlines()[-1]) if data.strip() else NOTHING_TOLD


def _drain(fd: int, kept: bytearray, task: Task) -> bool:
    """Take what is there; False at the end of the stream."""
    while True:
        try:
            piece = os.read(fd, 65536)
        except BlockingIOError:
            return True
        if not piece:
            return False
        kept += piece[: max(0, task.limit - len(kept))]
        if task.output is not None:
            task.output(piece)
