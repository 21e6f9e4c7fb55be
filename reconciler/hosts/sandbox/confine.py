"""The program that puts one process into a jail's namespaces; run by `processes.py`, never imported.

It stands alone (standard library only, `python -I -S confine.pyc FD`), reads what to do from FD in the
form of marshal, and reports through the pipe named in it. It joins or makes namespaces, builds the root
from detached mounts that are attached only after the root was entered (so a link inside a jail leads
nowhere else), drops the rights to change mounts, and runs the command.

It is started for every process of a jail: json, signal, socket and typing would each cost as much as
all that it does.
"""

import _socket
import ctypes
import fcntl
import marshal
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
PRIVATE, BIND, REC, DETACH, RDONLY, NOSUID, NODEV = 0x40000, 0x1000, 0x4000, 2, 1, 2, 4
AT_FDCWD, EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, SETATTR = 428, 429, 430, 431, 432, 442
PIVOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}.get(os.uname().machine, 155)
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot
KEPT_RIGHTS = (0, 1, 3, 4, 5, 6, 7, 10, 13, 18)
FAILED = 126
libc = ctypes.CDLL(None, use_errno=True)


def ok(result: int) -> int:
    """The result of a C call; OSError where it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def text(value: str | None) -> bytes | None:
    """A C string; None stays a null pointer."""
    return None if value is None else os.fsencode(value)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount, or raise OSError."""
    ok(libc.mount(text(source), text(target), text(kind), flags, text(data)))


def tree(path: str, readonly: bool, recursive: bool) -> int:
    """A detached copy of what is mounted at a path of the machine."""
    flags = 1 | 0x80000 | (AT_RECURSIVE if recursive else 0)
    fd = ok(libc.syscall(OPEN_TREE, AT_FDCWD, text(path), flags))
    if readonly:
        attributes = (ctypes.c_uint64 * 4)(RDONLY, 0, 0, 0)
        ok(libc.syscall(SETATTR, fd, b"", EMPTY_PATH | (AT_RECURSIVE if recursive else 0), attributes, 32))
    return fd


def attach(fd: int, target: str) -> None:
    """Put a detached mount at a path of the root that we are in."""
    ok(libc.syscall(MOVE_MOUNT, fd, b"", AT_FDCWD, text(target), 4))


def proc() -> int | None:
    """A detached procfs of our process namespace that shows processes only; None where refused."""
    fd = libc.syscall(FSOPEN, b"proc", 1)
    if fd < 0 or libc.syscall(FSCONFIG, fd, 1, b"subset", b"pid", 0) < 0:
        return None
    if libc.syscall(FSCONFIG, fd, 6, None, None, 0) < 0:
        return None
    made = libc.syscall(FSMOUNT, fd, 1, 0)
    return int(made) if made >= 0 else None


def make_namespaces(spec: "dict[str, Any]") -> None:
    """Namespaces for the host (with the user and network namespaces of the sandbox) or for a jail."""
    if spec["join_user"] is None:
        user, group = os.getuid(), os.getgid()
        ok(libc.unshare(NEWUSER))
        for name, words in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(words)
    own_network = spec["join_user"] is None or spec["vnet"]
    ok(libc.unshare(NEWPID | NEWUTS | NEWIPC | (NEWNET if own_network else 0)))
    if own_network:
        control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        fcntl.ioctl(control.fileno(), 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))
        control.close()


def join(spec: "dict[str, Any]") -> None:
    """Enter the namespaces of processes that hold them; all are opened before the first is entered."""
    wanted = []
    if spec["join_user"]:
        wanted = [(spec["join_user"], "user", NEWUSER), (spec["join_user"], "net", NEWNET)]
    if spec["join"]:
        names = (("net", NEWNET), ("uts", NEWUTS), ("ipc", NEWIPC), ("pid", NEWPID))
        wanted += [(spec["join"], name, flag) for name, flag in names]
    opened = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), flag) for pid, name, flag in wanted]
    for fd, flag in opened:
        ok(libc.setns(fd, flag))
        os.close(fd)


def build(spec: "dict[str, Any]", own: "list[list[Any]] | tuple[()]" = ()) -> None:
    """Make the root of the process and enter it; `own` is mounted for it alone."""
    ok(libc.unshare(NEWNS))
    mount("none", "/", None, REC | PRIVATE)
    mounts = []
    for source, target, readonly, recursive in (*spec["mounts"], *own):
        try:
            mounts.append((tree(source, readonly, recursive), target, os.path.isdir(source)))
        except FileNotFoundError:
            continue  # unmounted and gone since the table was read, as if it had been read a moment later
    devices = {}
    for target, names in spec["devices"].items():
        devices[target] = [(name, tree(f"/dev/{name}", False, False) if real else None) for name, real in names]
    processes = proc()
    mount(spec["root"], spec["root"], None, BIND)
    new, old = os.open(spec["root"], os.O_PATH), os.open("/", os.O_PATH)
    os.fchdir(new)
    ok(libc.syscall(PIVOT, b".", b"."))
    os.fchdir(old)
    mount(None, ".", None, 0x80000 | REC)
    ok(libc.umount2(b".", DETACH))
    os.chdir("/")
    for name in (new, old):
        os.close(name)
    for fd, target, folder in mounts:
        try:
            place(target, folder)
            attach(fd, target)
        except FileNotFoundError:
            pass  # gone meanwhile, or what it would be mounted on
        os.close(fd)
    for target, entries in devices.items():
        fill_devices(target, entries)
    for target, lower in spec["overlays"]:
        place(target, True)
        mount("overlay", target, "overlay", RDONLY | NODEV, "lowerdir=" + ":".join(lower))
    if processes is not None and os.path.isdir("/proc") and not os.path.islink("/proc"):
        attach(processes, "/proc")
    if spec["readonly"]:
        mount(None, "/", None, 32 | BIND | RDONLY)


def place(target: str, folder: bool) -> None:
    """See that there is something to mount on."""
    if os.path.lexists(target):
        return
    if folder:
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "x"):
        pass


def fill_devices(target: str, entries: list[tuple[str, int | None]]) -> None:
    """A /dev with the machine's own harmless devices, and empty places for the rest."""
    if not os.path.isdir(target):
        return
    mount("devfs", target, "tmpfs", NOSUID, "mode=755,size=1m")
    links = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for name, fd in entries:
        path = f"{target}/{name}"
        if name in links:
            os.symlink(links[name], path)
        elif name == "pts":
            os.mkdir(path)
        else:
            with open(path, "x"):
                pass
            if fd is not None:
                attach(fd, path)
                os.close(fd)


def drop_rights() -> None:
    """No more mounts, devices or tracing; what a jail's root may do with files and ports stays."""
    ok(libc.prctl(38, 1, 0, 0, 0))
    for number in range(64):
        if number not in KEPT_RIGHTS and libc.prctl(24, number, 0, 0, 0) < 0:
            break
    kept = sum(1 << number for number in KEPT_RIGHTS)
    header = struct.pack("=Ii", 0x20080522, 0)
    sets = struct.pack("=6I", kept, kept, kept, 0, 0, 0)
    ok(libc.capset(header, sets))


def report(spec: "dict[str, Any]", stage: str, number: int | None) -> None:
    """One line to whoever started us: how far this came, and a process number or an error's."""
    os.write(spec["report"], f"{stage} {number or 0}\n".encode())


def keep_namespaces(spec: "dict[str, Any]") -> None:
    """The first process of a jail: it reaps by ignoring its children, and lasts until it is killed."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    build(spec)
    drop_rights()
    os.write(spec["ready"], b"r")
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, 4096)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    program, words = "/.sandbox/bin/perl", ["init", "/.sandbox/keeper"]
    if not os.path.exists(program):
        program, words = "/.sandbox/bin/sleep", ["sleep", "infinity"]
    os.execve(program, words, {})  # noqa: S606 - no shell is wanted


def begin(spec: "dict[str, Any]") -> bool:
    """Start the first process; whether its root stands. Two that made the same root at once would hinder each other."""
    standing, spec["ready"] = os.pipe()
    first = forked(keep_namespaces, spec)
    os.close(spec["ready"])
    report(spec, "init", first)
    # Nothing runs in the jail before its first process is on record.
    if os.read(spec["go"], 1) != b"g":
        os.kill(first, _signal.SIGKILL)
        return False
    if os.read(standing, 1) == b"r":
        return True
    if os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) != FAILED:
        report(spec, "namespaces", 3)  # ESRCH: it was killed
    return False


def run_command(spec: "dict[str, Any]") -> None:
    """Become the command that was asked for."""
    if spec["die_with_caller"]:
        ok(libc.prctl(1, _signal.SIGKILL, 0, 0, 0))
    try:
        # Not for the first process of the jail: it may take longer than the command, which takes it away at its end.
        build(spec, spec["own"])
        drop_rights()
    except OSError as error:
        report(spec, "build", error.errno)
        os._exit(FAILED)
    try:
        os.chdir(spec["cwd"])
    except OSError as error:
        report(spec, "chdir", error.errno)
        os._exit(1)
    for number in (_signal.SIGPIPE, _signal.SIGINT, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    try:
        become(spec["argv"], spec["env"])
    except OSError as error:
        report(spec, "exec", error.errno)
        os._exit(1)


def become(argv: list[str], env: dict[str, str]) -> None:
    """execvpe(3); that of os imports what cannot be found any more from inside a root."""
    folders = env.get("PATH", os.defpath).split(":") if "/" not in argv[0] else [""]
    problem = OSError(2, os.strerror(2))
    for folder in folders:
        try:
            os.execve(f"{folder}/{argv[0]}" if folder else argv[0], argv, env)  # noqa: S606 - no shell is wanted
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problem = error
    raise problem


def forked(work: "Any", spec: "dict[str, Any]") -> int:
    """The pid of a child that does `work` and never returns."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work(spec)
    except (OSError, ValueError, KeyError) as error:
        report(spec, "build", getattr(error, "errno", None) or 22)
    os._exit(FAILED)


def main() -> int:
    """Do what is asked; the status of the command."""
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        spec = marshal.load(file)  # noqa: S302 - from our own parent
    os.set_inheritable(spec["report"], False)
    try:
        join(spec)
        if spec["make"]:
            make_namespaces(spec)
            if not begin(spec):
                return FAILED
        libc.sethostname(os.fsencode(spec["hostname"]), len(os.fsencode(spec["hostname"])))
    except OSError as error:
        report(spec, "namespaces", error.errno)
        return FAILED
    if spec["argv"] is None:
        return 0
    child = forked(run_command, spec)
    for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT):
        _signal.signal(number, lambda signum, _frame: os.kill(child, signum))
    # How a caller says that the time is up: the command ends, and is gone when we are.
    _signal.signal(_signal.SIGALRM, lambda _signum, _frame: os.kill(child, _signal.SIGKILL))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    os._exit(main())  # nothing is left to be tidied up, and tidying takes longer than most commands
