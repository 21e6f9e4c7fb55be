"""The one file that starts processes on this machine: argument vectors only, never a shell string."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial

from reconciler.hosts.freebsd import archive, nofollow
from reconciler.hosts.freebsd.failure import text, tool
from reconciler.model.command import UNREAD, Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError, Refused
from reconciler.spool import Files, Index, Spool, at

PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
STDERR_LIMIT = 1024 * 1024
"""Bytes kept of standard error: the last ones, where the reason stands."""

Over = Callable[[bytearray, bytearray], bool]

_GRACE = 5.0
_PARTING = 0.5
_LOOK = 3600.0  # seconds; epoll takes no timeout beyond some weeks
_ASK = 0.5  # seconds; how often `over` is asked of a command that prints nothing
_CHUNK = 64 * 1024
_SWEEP = 900.0  # seconds; reading the files of a large fleet from a cold disk
_LAST_SHELL_DESCRIPTOR = 9


class LocalRunner:
    """Runs commands and moves files on this machine.

    Each command has its own session, a clean environment, and no terminal; when its timeout passes,
    its whole process group is ended. Locks held with `lock` are inherited by every child, so that
    they last until the last child is gone even when this process is killed.
    """

    def __init__(self, *, path: Sequence[str] = (), env: Sequence[tuple[str, str]] = ()) -> None:
        """`path` names folders to search before the system's; `env` is given to every command."""
        self._env = {"PATH": ":".join([*path, PATH]), "LC_ALL": "C", "HOME": "/root", **dict(env)}
        self._locks: set[int] = set()

    def run(self, command: Command, over: Over | None = None, into: Spool | None = None) -> Completed:
        """Run one command to its end; status 127 when there is no such program.

        Where `over` is given, the command is also at its end, with status 0, once that says so of
        what came on standard output and standard error. Where `into` is given, standard output goes there.

        Raises HostError: `host-timeout`, `output-too-large`, or `command-failed` when it cannot start.
        What `command.stdin` raises while it is read ends the command and is raised here.
        """
        argv, descriptors = self._argv(command.argv)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if command.stdin == b"" else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._env | dict(command.env),
                cwd="/",
                umask=0o022,
                start_new_session=True,
                pass_fds=descriptors,
            )
        except FileNotFoundError:
            return Completed(command.argv, 127, b"", f"{tool(command.argv)}: not found\n".encode())
        except (OSError, ValueError) as error:
            detail = f"`{' '.join(command.argv)}` cannot be started: {error}"
            problem = Diagnostic("command-failed", "A command on the host failed", detail, "ls -l the program.")
            raise HostError(problem, argv=command.argv) from error
        return _Child(process, command, over, into).complete()

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run commands one after the other."""
        return [self.run(command) for command in commands]

    def gather(
        self, commands: Sequence[Command], trees: Sequence[str]
    ) -> tuple[list[Completed], dict[str, Mapping[str, bytes]]]:
        """`batch`, and the `tree` of each folder by its path: one stream that is looked into when asked."""
        done = self.batch(commands)
        there = [path for path in trees if nofollow.is_folder(path)]
        found: dict[str, Mapping[str, bytes]] = {path: {} for path in trees}
        if there:
            found |= self._archived(there) or {path: nofollow.tree(path) for path in there}
        return done, found

    def _archived(self, folders: Sequence[str]) -> dict[str, Mapping[str, bytes]]:
        """The folders as tar(1) reads them; {} when that went wrong, as when a file goes meanwhile."""
        spool = Spool()
        done = self.run(Command(archive.argv(folders, UNREAD), timeout=_SWEEP), into=spool)
        if done.status != 0 or done.stderr:
            return {}
        whole = cache(partial(archive.index, spool.read, spool.size))
        return {path: Files(spool, partial(_below, path, whole, spool), spool.digest) for path in folders}

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none. Symlinks are refused at every component."""
        return nofollow.read(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole: temporary file beside it, fsync, rename."""
        nofollow.write(path, data, mode)

    def write_all(self, files: Sequence[tuple[str, bytes, int]]) -> None:
        """Write one file after the other."""
        for path, data, mode in files:
            self.write(path, data, mode)

    def tree(self, path: str) -> dict[str, bytes]:
        """All regular files below a folder, by path relative to it; {} when absent. Links are left out."""
        return nofollow.tree(path)

    @contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        """Hold flock(2) on a file. Raises Refused (code `locked`) naming holder, process and time."""
        descriptor = _locked(path, holder)
        self._locks.add(descriptor)
        try:
            yield
        finally:
            # Closed, not unlocked: a child that still runs keeps the lock.
            self._locks.discard(descriptor)
            os.close(descriptor)

    def _argv(self, argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The vector to start, and the lock descriptors it inherits.

        Nothing in a jail may have a lock's descriptor, for who has it can unlock it. So a shell that
        stays outside keeps it while jexec runs without it; sh(1) closes only descriptors of one digit.
        """
        locks = tuple(sorted(self._locks))
        if not locks or tool(argv) != "jexec":
            return argv, locks
        if locks[-1] > _LAST_SHELL_DESCRIPTOR:
            return argv, ()
        closing = " ".join(f"{descriptor}<&-" for descriptor in locks)
        return ("sh", "-c", f'"$@" {closing}; exit $?', "sh", *argv), locks


def _below(path: str, whole: Callable[[], Index], spool: Spool) -> Index:
    """Where the files of a folder are in an archive; read one by one where the archive is not understood."""
    try:
        return archive.below(path, whole())
    except archive.Unreadable:
        found: Index = {}
        for name, data in nofollow.tree(path).items():
            found[name] = at(spool.size, len(data))
            spool.write(data)
        return found


def _locked(path: str, holder: str) -> int:
    head, _, name = path.rpartition("/")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with nofollow.folder(head or "/") as at:
            descriptor = os.open(name, flags, 0o600, dir_fd=at)
    except OSError as error:
        raise nofollow.refused(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with os.fdopen(descriptor, "rb") as file:
            raise locked(path, file.read(4096)) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, holder_text(holder))
    return descriptor


def holder_text(holder: str) -> bytes:
    """What a lock's file holds: who, which process where, since when (UTC)."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    process = f"process {os.getpid()} on {os.uname().nodename}"
    return f"{holder}\n{process}\nsince {since}\n".encode("utf-8", "surrogateescape")


def locked(path: str, said: bytes) -> Refused:
    """The Refused (code `locked`) that names who holds a lock."""
    who = ", ".join(text(said).split("\n")).strip(", ") or "someone who did not say who they are"
    return Refused(
        Diagnostic(
            "locked",
            "Another run holds the lock",
            f"{path} is held by {who}.",
            "Wait for it to end. A lock is free as soon as its last process is gone; its file may stay.",
        )
    )


class _Child:
    """One running process: feeds it, reads it, ends it."""

    def __init__(
        self, process: subprocess.Popen[bytes], command: Command, over: Over | None, into: Spool | None
    ) -> None:
        self._process = process
        self._command = command
        self._over = over
        self._into = into
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._broken: BaseException | None = None

    def complete(self) -> Completed:
        """Wait for the end. Whatever goes wrong meanwhile ends the whole process group."""
        feeder = threading.Thread(target=self._feed, daemon=True)
        feeder.start()
        try:
            self._attend()
        finally:
            for stream in (self._process.stdout, self._process.stderr):
                if stream:
                    stream.close()
        feeder.join(_GRACE)
        if self._broken is not None:
            raise self._broken
        code = 0 if self._said_over() else self._process.returncode
        status = code if code >= 0 else 128 - code
        return Completed(self._command.argv, status, bytes(self._stdout), bytes(self._stderr))

    def _feed(self) -> None:
        stream, data = self._process.stdin, self._command.stdin
        if stream is None:
            return
        chunks: Iterable[bytes] = (data,) if isinstance(data, bytes) else data
        try:
            for chunk in chunks:
                stream.write(chunk)
                stream.flush()  # what waits for it may be what the next chunk waits for
        except BrokenPipeError:
            pass  # it read what it wanted; its status says whether that was all well
        except BaseException as error:  # raised again in the thread that waits
            # A source that broke must not look like its end: the reader goes before the pipe closes.
            self._broken = error
            self._end()
        with contextlib.suppress(OSError):
            stream.close()

    def _attend(self) -> None:
        """Read both streams until the process has ended, however long a daemon it left keeps them open."""
        ended, ending = os.pipe()
        waiter = threading.Thread(target=self._wait, args=(ending,), daemon=True)
        waiter.start()
        deadline = time.monotonic() + self._command.timeout
        try:
            with selectors.DefaultSelector() as selector:
                for stream in (self._process.stdout, self._process.stderr):
                    if stream:
                        os.set_blocking(stream.fileno(), False)
                        selector.register(stream, selectors.EVENT_READ)
                selector.register(ended, selectors.EVENT_READ)
                while not self._step(selector, ended, deadline - time.monotonic()):
                    if self._said_over():
                        self._part()
                        break
        except BaseException:
            self._end()
            raise
        finally:
            # Not for ever: what hangs in the kernel, such as zfs(8) on a suspended pool, is not to be killed.
            waiter.join(_GRACE)
            os.close(ended)

    def _said_over(self) -> bool:
        return self._over is not None and self._over(self._stdout, self._stderr)

    def _wait(self, ending: int) -> None:
        self._process.wait()
        os.close(ending)

    def _step(self, selector: selectors.BaseSelector, ended: int, seconds: float) -> bool:
        ready = selector.select(min(max(seconds, 0.0), _LOOK if self._over is None else _ASK))
        if not ready and seconds <= 0:
            raise self._failure("host-timeout", "A command took too long", f"after {self._command.timeout:g} s it")
        over = any(key.fd == ended for key, _ in ready)
        for key in list(selector.get_map().values()) if over else [key for key, _ in ready]:
            if key.fd == ended:
                continue
            while self._take(selector, key.fd) and over:
                pass
        return over

    def _take(self, selector: selectors.BaseSelector, descriptor: int) -> bool:
        """Read once; False when there is no more for now."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            selector.unregister(descriptor)
            return False
        if self._process.stdout and descriptor == self._process.stdout.fileno():
            if self._into is not None:
                self._into.write(data)
                return True
            if self._command.sink is not None:
                self._command.sink(data)
                return True
            self._stdout += data
            if len(self._stdout) > self._command.limit:
                limit = f"{self._command.limit} bytes of output, it"
                raise self._failure("output-too-large", "A command printed too much", f"after {limit}")
        else:
            self._stderr += data
            if len(self._stderr) > 2 * STDERR_LIMIT:
                del self._stderr[:-STDERR_LIMIT]
        if self._command.output:
            self._command.output(data)
        return True

    def _failure(self, code: str, summary: str, when: str) -> HostError:
        argv = self._command.argv
        detail = f"`{' '.join(argv)}`: {when} was ended."
        hint = "What it did before is not undone: plan again to see how the host is now."
        return HostError(Diagnostic(code, summary, detail, hint), argv=argv, stderr=text(bytes(self._stderr)))

    def _part(self) -> None:
        """Let a process end that has nothing more to say; only itself is ended if it does not.

        Its group may hold what outlives it: ssh(1) starts a ProxyCommand there, which then serves
        the shared connection.
        """
        for end, seconds in ((self._process.terminate, _PARTING), (self._process.kill, _GRACE)):
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                end()

    def _end(self) -> None:
        """End the process group: asked first, killed after the grace."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None and number == signal.SIGTERM:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
