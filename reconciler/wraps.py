"""Wrappers of any way to a host, with the same interface: what cuts across all commands is written once.

    ReadOnlyRunner   refuses whatever could change the host
    RecordRunner     remembers every call, and whether it changed something
    CountRunner      counts processes and round trips
    LogRunner        one event per call
    RetryRunner      tries again what may be tried again
    FailRunner       fails or kills at the n-th call, for the laws and the crash matrix

They stack: `LogRunner(RetryRunner(runner), log)`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from reconciler.faults import FailRunner
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.diagnostic import Diagnostic, ReconcilerError, Refused
from reconciler.readonly import is_read_only
from reconciler.wrapper import Trees, Wrapper

__all__ = [
    "Call",
    "CountRunner",
    "FailRunner",
    "Log",
    "LogRunner",
    "ReadOnlyRunner",
    "RecordRunner",
    "RetryRunner",
    "Wrapper",
    "is_transient",
    "retry",
]

T = TypeVar("T")
COMMAND_RAN = "command.ran"
COMMAND_FAILED = "command.failed"
FILE_WRITTEN = "file.written"


class ReadOnlyRunner(Wrapper):
    """Refuses, before anything starts, what is not known to only read (`readonly.is_read_only`).

    A lock is refused as well: it leaves its file, and who only reads needs none. Raises Refused
    (`read-only`).
    """

    def run(self, command: Command) -> Completed:
        """Run a command that reads."""
        self._check(command)
        return self.inner.run(command)

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run commands that read; one that does not refuses them all."""
        for command in commands:
            self._check(command)
        return self.inner.batch(commands)

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """As `batch`."""
        for command in commands:
            self._check(command)
        return self.inner.gather(commands, trees)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Always refused."""
        raise _refused(f"Writing {path}")

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Always refused."""
        raise _refused(f"Locking {path}")

    def _check(self, command: Command) -> None:
        if not is_read_only(command.argv):
            raise _refused(f"Running {' '.join(command.argv[:12])}")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a runner. `words` is the argument vector, or the path; content is not kept.

    `status` is the exit status, None where there is none or the call raised.
    """

    verb: Literal["run", "read", "write", "tree", "lock"]
    words: tuple[str, ...]
    changes: bool
    status: int | None = None


class RecordRunner(Wrapper):
    """Remembers every call in `calls`, in order; those that raised too. Threads may share it."""

    def __init__(self, inner: Runner) -> None:
        """Start with no calls."""
        super().__init__(inner)
        self.calls: list[Call] = []

    @property
    def changes(self) -> list[Call]:
        """The calls that could change the host."""
        return [call for call in self.calls if call.changes]

    def run(self, command: Command) -> Completed:
        """Run and remember."""
        return self._commands([command], lambda: [self.inner.run(command)])[0]

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run and remember each."""
        return self._commands(commands, lambda: self.inner.batch(commands))

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """Run and remember each command and folder."""
        self.calls.extend(Call("tree", (path,), changes=False) for path in trees)
        return self._gathered(commands, trees, self._commands)

    def read(self, path: str) -> bytes | None:
        """Read and remember."""
        self.calls.append(Call("read", (path,), changes=False))
        return self.inner.read(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write and remember the path."""
        self.calls.append(Call("write", (path,), changes=True))
        self.inner.write(path, data, mode)

    def tree(self, path: str) -> dict[str, bytes]:
        """Read and remember."""
        self.calls.append(Call("tree", (path,), changes=False))
        return self.inner.tree(path)

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Lock and remember; a lock is no change of what a user sees."""
        self.calls.append(Call("lock", (path,), changes=False))
        return self.inner.lock(path, holder)

    def _commands(self, commands: Sequence[Command], run: Callable[[], list[Completed]]) -> list[Completed]:
        done: list[Completed] = []
        try:
            done = run()
        finally:
            states: list[int | None] = [completed.status for completed in done] or [None for _ in commands]
            self.calls.extend(
                Call("run", command.argv, not is_read_only(command.argv), status)
                for command, status in zip(commands, states, strict=False)
            )
        return done


class CountRunner(Wrapper):
    """Counts: `processes` started on the host (a folder read in bulk is one), and `round_trips` to it."""

    def __init__(self, inner: Runner) -> None:
        """Start at zero."""
        super().__init__(inner)
        self.processes = 0
        self.round_trips = 0
        self._counting = threading.Lock()

    def run(self, command: Command) -> Completed:
        """One process, one round trip."""
        self._count(1)
        return self.inner.run(command)

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """A process for each, one round trip."""
        self._count(len(commands))
        return self.inner.batch(commands)

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """A process for each command and folder, one round trip."""
        self._count(len(commands) + len(trees))
        return self.inner.gather(commands, trees)

    def read(self, path: str) -> bytes | None:
        """One process (over ssh), one round trip."""
        self._count(1)
        return self.inner.read(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """One process (over ssh), one round trip."""
        self._count(1)
        self.inner.write(path, data, mode)

    def write_all(self, files: Sequence[tuple[str, bytes, int]]) -> None:
        """One process (over ssh), one round trip."""
        self._count(1)
        self.inner.write_all(files)

    def tree(self, path: str) -> dict[str, bytes]:
        """One process (over ssh), one round trip."""
        self._count(1)
        return self.inner.tree(path)

    def _count(self, processes: int) -> None:
        with self._counting:
            self.processes += processes
            self.round_trips += 1


class Log(Protocol):
    """What LogRunner needs of a structlog logger."""

    def debug(self, event: str, **facts: Any) -> Any: ...


class LogRunner(Wrapper):
    """One event for each command and write: argv, status, seconds. Never what was read or written."""

    def __init__(self, inner: Runner, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        """Log with this logger; `clock` gives seconds."""
        super().__init__(inner)
        self._log = log
        self._clock = clock

    def run(self, command: Command) -> Completed:
        """Run and log."""
        return self._timed([command], lambda: [self.inner.run(command)])[0]

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run and log each, with the seconds of all."""
        return self._timed(commands, lambda: self.inner.batch(commands))

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """As `batch`."""
        return self._gathered(commands, trees, self._timed)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write and log the path and size."""
        self.inner.write(path, data, mode)
        self._written(path, data, mode)

    def write_all(self, files: Sequence[tuple[str, bytes, int]]) -> None:
        """Write and log each path and size."""
        self.inner.write_all(files)
        for file in files:
            self._written(*file)

    def _written(self, path: str, data: bytes, mode: int) -> None:
        self._log.debug(FILE_WRITTEN, path=path, size=len(data), mode=f"{mode:04o}")

    def _timed(self, commands: Sequence[Command], run: Callable[[], list[Completed]]) -> list[Completed]:
        start = self._clock()
        try:
            done = run()
        except ReconcilerError as error:
            argvs = [" ".join(command.argv) for command in commands]
            code = error.diagnostics[0].code
            self._log.debug(COMMAND_FAILED, argv=argvs, code=code, seconds=round(self._clock() - start, 3))
            raise
        seconds = round(self._clock() - start, 3)
        for completed in done:
            self._log.debug(COMMAND_RAN, argv=" ".join(completed.argv), status=completed.status, seconds=seconds)
        return done


def is_transient(error: BaseException) -> bool:
    """Whether an error says that trying again may help (HostError, DownloadError)."""
    return isinstance(error, ReconcilerError) and getattr(error, "transient", False) is True


def retry(call: Callable[[], T], *, attempts: int = 4, sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until it succeeds, fails for good, or `attempts` are used up; the last error is raised.

    Waits a random time below 0.5, 1, 2 … seconds (at most 20) in between, so that many who failed
    together do not return together.
    """
    # Loaded when something is tried again: a run that only looks does without.
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    again = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.5, max=20),
        sleep=sleep,
        reraise=True,
    )
    return again(call)


class RetryRunner(Wrapper):
    """Tries transient failures again, where doing a thing twice is doing it once: reading, and writing a
    file whole. After another command's lost connection the outcome is unknown, and only observing again
    can tell; those errors pass."""

    def __init__(self, inner: Runner, *, attempts: int = 4, sleep: Callable[[float], None] = time.sleep) -> None:
        """Try at most `attempts` times; `sleep` takes seconds."""
        super().__init__(inner)
        self._attempts = attempts
        self._sleep = sleep

    def run(self, command: Command) -> Completed:
        """Run; again when it only reads and its standard input is not used up."""
        if is_read_only(command.argv) and isinstance(command.stdin, bytes):
            return self._retry(lambda: self.inner.run(command))
        return self.inner.run(command)

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """Run; batches only read."""
        return self._retry(lambda: self.inner.batch(commands))

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """As `batch`."""
        return self._retry(lambda: self.inner.gather(commands, trees))

    def read(self, path: str) -> bytes | None:
        """Read."""
        return self._retry(lambda: self.inner.read(path))

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write whole."""
        self._retry(lambda: self.inner.write(path, data, mode))

    def write_all(self, files: Sequence[tuple[str, bytes, int]]) -> None:
        """Write whole."""
        self._retry(lambda: self.inner.write_all(files))

    def tree(self, path: str) -> dict[str, bytes]:
        """Read."""
        return self._retry(lambda: self.inner.tree(path))

    def _retry(self, call: Callable[[], T]) -> T:
        return retry(call, attempts=self._attempts, sleep=self._sleep)


def _refused(what: str) -> Refused:
    summary = "This run may only read"
    detail = f"{what} could change the host, and was not done."
    return Refused(Diagnostic("read-only", summary, detail, "Run it with: reconcile apply"))
