"""A host over ssh: OpenSSH's client, one shared connection, and nothing on the host but its base system."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import tarfile
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from reconciler.hosts.freebsd import nofollow, script
from reconciler.hosts.freebsd.failure import failed, text
from reconciler.hosts.freebsd.run import PATH, LocalRunner, holder_text, locked
from reconciler.hosts.freebsd.streamed import Streamed
from reconciler.hosts.freebsd.target import Target
from reconciler.model.command import Command, Completed, Output
from reconciler.model.diagnostic import Diagnostic, HostError

_CONNECT_TIMEOUT = 900.0  # seconds for the first exchange; ssh's own ConnectTimeout ends a dead address sooner
_STREAM = 16 * 1024**3  # bytes of a command whose output goes to a sink; they lie in a file until its end was seen
_SESSIONS = 8  # sshd(8) refuses an eleventh session on one connection (MaxSessions 10)
_FOREVER = 10.0 * 365 * 86400
_NEVER_STARTED = {
    "Permission denied": False,
    "Host key verification failed": False,
    "No matching host key": False,
    "REMOTE HOST IDENTIFICATION HAS CHANGED": False,
    "Could not resolve hostname": True,
    "Connection refused": True,
    "Connection timed out": True,
    "No route to host": True,
    "Network is unreachable": True,
    "kex_exchange_identification": True,
    "Connection closed by": True,
    "Too many authentication failures": False,
}
"""What ssh(1) says when nothing was run, and whether trying again may help."""


class SSHRunner:
    """Runs commands and moves files on another host.

    One connection is shared by all commands; it is closed by `close`, at the latest when this object
    goes. A connection that is lost while a command runs raises HostError (code `connection-lost`,
    transient): whether the command took effect is unknown. After a timeout the command may still run
    on the host. Host keys and everything else are as the user's ssh_config(5) says.
    """

    def __init__(self, target: Target, ssh: Sequence[str] = ("ssh",)) -> None:
        """`ssh` is the client and any arguments it always gets."""
        folder = tempfile.mkdtemp(prefix="reconciler-", dir="/tmp")
        shared = (
            "-T", "-S", f"{folder}/%C", "-oControlMaster=auto", "-oControlPersist=60", "-oBatchMode=yes",
            "-oServerAliveInterval=15", "-oServerAliveCountMax=20", "-oLogLevel=ERROR", "-oConnectTimeout=120",
            "-oForwardAgent=no", "-oForwardX11=no", "-oClearAllForwardings=yes", "-oRemoteCommand=none",
        )  # fmt: skip
        self._target = target
        path = dict(target.options).get("path")
        # An option that is given twice counts as it was given first: those of the user go first.
        self._argv = (*ssh, *target.arguments()[:-2], *shared)
        self._to = target.arguments()
        self._where = target.arguments()[-2:]
        self._env = {"PATH": f"{path}:{PATH}" if path else PATH, "LC_ALL": "C", "HOME": "/root"}
        agent = os.environ.get("SSH_AUTH_SOCK")
        self._local = LocalRunner(
            path=os.environ.get("PATH", "").split(":"),
            env=[("HOME", os.path.expanduser("~")), *([("SSH_AUTH_SOCK", agent)] if agent else [])],
        )
        self._sessions = threading.Semaphore(_SESSIONS)
        self._connecting = threading.Lock()
        self._connected = False
        self._locks: dict[str, _Held] = {}
        exit_ = (*self._argv, "-O", "exit", *self._where)
        self._close = weakref.finalize(self, _close, self._local, exit_, folder)

    @classmethod
    def open(cls, url: str) -> SSHRunner:
        """The runner for a URL. RECONCILER_SSH may name another client and its first arguments."""
        return cls(Target.of(url), shlex.split(os.environ.get("RECONCILER_SSH", "")) or ("ssh",))

    def close(self) -> None:
        """Close the shared connection."""
        self._close()

    def run(self, command: Command) -> Completed:
        """Run one command to its end; status 127 when there is no such program."""
        return self._remote(command, script.quote(command.argv), registers=self._registers())

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run read-only commands in one round trip."""
        return self.gather(commands, ())[0]

    def gather(
        self, commands: Sequence[Command], trees: Sequence[str]
    ) -> tuple[list[Completed], dict[str, dict[str, bytes]]]:
        """Run read-only commands and read folders in one round trip."""
        timeout = sum(command.timeout for command in commands) + 60.0
        asked = Command(("sh",), timeout=timeout)
        done = self._remote(asked, script.gather(commands, trees))
        if done.status != 0:
            raise failed(done)
        try:
            answers = script.parts(commands, trees, done.stdout)
            archives = answers[len(commands) :]
            for path, answer in zip(trees, archives, strict=True):
                if answer.status == script.LINK:
                    raise nofollow.link(path)
            if broken := [answer for answer in archives if answer.status != 0]:
                raise failed(broken[0], "file-failed", "A file of the host cannot be used")
            found = {path: script.files(answer.stdout) for path, answer in zip(trees, archives, strict=True)}
        except (ValueError, KeyError, tarfile.TarError) as error:
            raise self._garbled(str(error)) from error
        return answers[: len(commands)], found

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none. Symlinks are refused at every component."""
        done = self._remote(Command(("cat", path)), script.read(path))
        if done.status == script.ABSENT:
            return None
        return self._done(done, path).stdout

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole: temporary file beside it, its length checked, fsync, rename."""
        command = Command(("mv", path), stdin=data)
        self._done(self._remote(command, script.write(path, len(data), mode), registers=self._registers()), path)

    def write_all(self, files: Sequence[tuple[str, bytes, int]]) -> None:
        """Write files of one folder and below in one round trip, each as `write` does, in this order."""
        if not files:
            return
        sizes = [(path, len(data), mode) for path, data, mode in files]
        command = Command(("mv", files[0][0]), stdin=script.packed([data for _, data, _ in files]))
        self._done(self._remote(command, script.write_all(sizes), registers=self._registers()), files[0][0])

    def tree(self, path: str) -> dict[str, bytes]:
        """All regular files below a folder, by path relative to it; {} when absent. Links are left out."""
        return self.gather((), (path,))[1][path]

    @contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        """Hold lockf(1) on a file of the host. Raises Refused (code `locked`) naming who holds it.

        It lasts until this context has ended, or the connection is lost, and every command that was
        run meanwhile is gone. Once it is lost with the connection, commands raise HostError (code
        `lock-lost`): another may hold it by now.
        """
        held = _Held(self, path, text(holder_text(holder)))
        held.take()
        self._locks[script.processes(path)] = held
        try:
            yield
        finally:
            del self._locks[script.processes(path)]
            held.give()

    def _registers(self) -> list[str]:
        """Where a command that may change the host notes its process. Raises HostError when a lock is lost."""
        for held in list(self._locks.values()):
            held.check()
        return sorted(self._locks)

    def _done(self, done: Completed, path: str) -> Completed:
        if done.status == script.LINK:
            raise nofollow.link(path)
        if done.status != 0:
            raise failed(done, "file-failed", "A file of the host cannot be used")
        return done

    def _remote(self, command: Command, body: str, registers: Sequence[str] = ()) -> Completed:
        self._connect()
        with self._sessions:
            return self._exchange(command, body, registers)

    def _connect(self) -> None:
        """Make the shared connection once, so that first commands in parallel do not race for it."""
        with self._connecting:
            if not self._connected:
                self._exchange(Command(("true",), timeout=_CONNECT_TIMEOUT), "true", ())
                self._connected = True

    def _exchange(self, command: Command, body: str, registers: Sequence[str]) -> Completed:
        mark = f"reconciler-{secrets.token_hex(12)}"
        try:
            sent = script.framed(body, self._env | dict(command.env), mark, registers)
        except ValueError as error:
            raise self._garbled(str(error)) from error
        data = command.stdin
        stdin: Iterable[bytes] = (sent, data) if isinstance(data, bytes) else _after(sent, data)
        output = command.output
        streamed = Streamed(mark, _STREAM) if command.sink is not None else None
        asked = Command(
            (*self._argv, *self._where, script.bootstrap(sent, self._target.become)),
            stdin=stdin,
            timeout=command.timeout,
            limit=command.limit + 2 * len(mark) + 2,
            output=None if output is None else lambda chunk: _without(mark, chunk, output),
            sink=None if streamed is None else streamed.write,
        )
        try:
            answer = self._local.run(asked, partial(script.over, mark) if streamed is None else streamed.over)
        except HostError as error:
            raise self._told(error, command) from error
        stdout = answer.stdout if streamed is None else streamed.marks()
        done = script.unframed(Completed(command.argv, answer.status, stdout, answer.stderr), mark)
        if done is None:
            raise self._lost(answer, command)
        if command.sink is not None and streamed is not None:
            for piece in streamed.pieces():
                command.sink(piece)
        return done

    def _told(self, error: HostError, command: Command) -> HostError:
        """The same error, naming the command on the host instead of the one here."""
        (problem,) = error.diagnostics
        detail = f"On {self._where[-1]}: `{' '.join(command.argv)}` was given up."
        hint = "It may still run on the host: look with ps, then plan again."
        said = Diagnostic(problem.code, problem.summary, detail, hint)
        return HostError(said, argv=command.argv, stderr=error.stderr, transient=error.transient)

    def _lost(self, answer: Completed, command: Command) -> HostError:
        """Say whether the host was never reached, or was lost while the command ran."""
        stderr, where = text(answer.stderr), self._where[-1]
        if self._target.become and f"{self._target.become}:" in stderr and "reconciler-" not in stderr:
            return HostError(self._target.refused(stderr), argv=command.argv, stderr=stderr)
        for words, transient in _NEVER_STARTED.items():
            if words in stderr or answer.status == 127:
                problem = Diagnostic(
                    "host-unreachable",
                    "A host cannot be reached",
                    f"ssh to {where}: {stderr.strip()}",
                    f"Try it by hand: ssh {shlex.join(word for word in self._to if word != '--')} true",
                )
                return HostError(problem, argv=command.argv, stderr=stderr, transient=transient)
        problem = Diagnostic(
            "connection-lost",
            "The connection to a host was lost",
            f"ssh to {where} ended with status {answer.status} during `{' '.join(command.argv)}`: {stderr.strip()}",
            "Whether the command took effect is unknown: plan again, which observes the host anew.",
        )
        return HostError(problem, argv=command.argv, stderr=stderr, transient=True)

    def _garbled(self, why: str) -> HostError:
        problem = Diagnostic(
            "unreadable-output",
            "A command answered in a form that is not understood",
            f"{self._where[-1]}: {why}",
            "See what `ssh HOST true` prints; nothing was changed.",
        )
        return HostError(problem)


class _Held:
    """A lock on the host, held by a process there that waits for its standard input to end."""

    def __init__(self, runner: SSHRunner, path: str, holder: str) -> None:
        self._runner = runner
        self._path = path
        self._body = script.lock(path, holder)
        self._release = threading.Event()
        self._answered = threading.Event()
        self._seen = b""
        self._end: Completed | HostError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def take(self) -> None:
        """Return once the lock is held; Refused when another holds it."""
        self._thread.start()
        self._answered.wait()
        if b"locked\n" in self._seen:
            return
        self._thread.join()
        if isinstance(self._end, HostError):
            raise self._end
        if self._end is not None and self._end.status == script.LOCKED:
            raise locked(self._path, self._end.stderr)
        if self._end is not None:
            self._runner._done(self._end, self._path)
        raise self._runner._garbled("the lock's holder ended without a word")

    def check(self) -> None:
        """Raise HostError (code `lock-lost`) when it is not held any more."""
        if self._end is None:
            return
        problem = Diagnostic(
            "lock-lost",
            "The lock on a host was lost",
            f"The connection that held {self._path} has ended; another run may hold it by now.",
            "Run again: it observes the host anew and goes on from there.",
        )
        raise HostError(problem)

    def give(self) -> None:
        """Let the lock go."""
        self._release.set()
        self._thread.join(60.0)

    def _run(self) -> None:
        command = Command(("lockf", self._path), stdin=self._wait(), timeout=_FOREVER, output=self._hear)
        try:
            self._end = self._runner._remote(command, self._body)
        except HostError as error:
            self._end = error
        finally:
            self._answered.set()

    def _wait(self) -> Iterator[bytes]:
        # A word now and then shows that the connection is there, and ends with it.
        while not self._release.wait(1.0):
            yield b"\n"

    def _hear(self, data: bytes) -> None:
        self._seen += data
        if b"locked\n" in self._seen:
            self._answered.set()


def _after(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _without(mark: str, chunk: bytes, output: Output) -> None:
    """Hand a chunk on without the marks of the framing."""
    kept = chunk.replace(mark.encode() + b"\n", b"").partition(mark.encode() + b".")[0]
    if kept:
        output(kept)


def _close(local: LocalRunner, argv: tuple[str, ...], folder: str) -> None:
    with contextlib.suppress(HostError):
        local.run(Command(argv, timeout=10.0))
    shutil.rmtree(folder, ignore_errors=True)
