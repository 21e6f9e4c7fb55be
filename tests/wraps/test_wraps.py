"""Each wrapper does its one thing, and passes all else on as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from reconciler.download import DownloadError
from reconciler.model.command import Command, Runner
from reconciler.model.diagnostic import Diagnostic, HostError, Refused
from reconciler.wraps import (
    Call,
    CountRunner,
    FailRunner,
    LogRunner,
    ReadOnlyRunner,
    RecordRunner,
    RetryRunner,
    Wrapper,
    retry,
)

from .memory import MemoryHost

LIST = Command(("zfs", "list"))
CREATE = Command(("zfs", "create", "zroot/x"))


class Heard:
    """A logger that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def debug(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))


WRAPS: list[Callable[[Runner], Runner]] = [
    Wrapper, RecordRunner, CountRunner, lambda r: LogRunner(r, Heard()), RetryRunner, lambda r: FailRunner(r, 0),
]  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_wrapped_host_answers_as_the_host(wrap: Callable[[Runner], Runner]) -> None:
    plain, host = MemoryHost(), MemoryHost()
    wrapped = wrap(host)
    for runner in (plain, wrapped):
        runner.write("/a/b", b"1")
        runner.run(CREATE)
    for ask in (
        lambda r: r.run(CREATE),
        lambda r: r.batch([LIST, LIST]),
        lambda r: r.gather([LIST], ["/a"]),
        lambda r: (r.read("/a/b"), r.read("/none"), r.tree("/a")),
    ):
        assert ask(wrapped) == ask(plain)
    with wrapped.lock("/lock", "me"):
        assert host.locked == {"/lock"}
    assert (host.datasets, host.files, host.locked) == (plain.datasets, plain.files, set())


def test_a_read_only_host_refuses_every_change_and_reads_on() -> None:
    host = MemoryHost()
    host.files["/a/b"] = b"1"
    runner = ReadOnlyRunner(host)
    changes: list[Callable[[], object]] = [
        lambda: runner.run(CREATE),
        lambda: runner.batch([LIST, CREATE]),
        lambda: runner.gather([CREATE], []),
        lambda: runner.write("/a/b", b"2"),
        lambda: runner.lock("/lock", "me"),
    ]
    for change in changes:
        with pytest.raises(Refused) as caught:
            change()
        assert caught.value.diagnostics[0].code == "read-only"
    assert (host.datasets, host.files, host.locked) == ({"zroot"}, {"/a/b": b"1"}, set())
    assert runner.run(LIST).stdout == b"zroot\n"
    assert runner.gather([LIST], ["/a"])[1] == {"/a": {"b": b"1"}}
    assert (runner.read("/a/b"), runner.tree("/a"), len(runner.batch([LIST]))) == (b"1", {"b": b"1"}, 1)


def test_a_record_says_what_was_asked_and_what_changed_but_no_content() -> None:
    runner = RecordRunner(MemoryHost())
    runner.run(LIST)
    runner.run(CREATE)
    runner.run(CREATE)
    runner.write("/secret", b"canary")
    runner.gather([LIST], ["/a"])
    assert runner.changes == [
        Call("run", CREATE.argv, changes=True, status=0),
        Call("run", CREATE.argv, changes=True, status=1),
        Call("write", ("/secret",), changes=True),
    ]
    assert [call.verb for call in runner.calls] == ["run", "run", "run", "write", "tree", "run"]
    assert "canary" not in repr(runner.calls)


def test_a_call_that_raised_is_on_record() -> None:
    host = MemoryHost()
    host.outage = 1
    runner = RecordRunner(host)
    with pytest.raises(HostError):
        runner.run(CREATE)
    assert runner.calls == [Call("run", CREATE.argv, changes=True, status=None)]


def test_processes_and_round_trips_are_counted() -> None:
    runner = CountRunner(MemoryHost())
    runner.gather([LIST] * 5, ["/a", "/b"])
    runner.batch([LIST] * 3)
    runner.run(LIST)
    runner.write("/a", b"")
    assert (runner.processes, runner.round_trips) == (12, 4)


def test_each_command_is_logged_once_without_its_data() -> None:
    heard, host = Heard(), MemoryHost()
    ticks = iter(range(100))
    runner = LogRunner(host, heard, lambda: float(next(ticks)))
    runner.run(Command(("cat", "/x"), stdin=b"canary"))
    runner.write("/x", b"canary", 0o640)
    runner.run(Command(("cat", "/x")))
    host.outage = 1
    with pytest.raises(HostError):
        runner.run(LIST)
    assert [event for event, _ in heard.events] == [
        "command.ran",
        "file.written",
        "command.ran",
        "command.failed",
    ]
    assert heard.events[0][1] == {"argv": "cat /x", "status": 127, "seconds": 1.0}
    assert "canary" not in repr(heard.events)


def test_a_transient_failure_of_reading_is_tried_again() -> None:
    host, waits = MemoryHost(), list[float]()
    runner = RetryRunner(host, attempts=4, sleep=waits.append)
    asks: list[Callable[[], object]] = [
        lambda: runner.run(LIST),
        lambda: runner.batch([LIST]),
        lambda: runner.gather([LIST], ["/"]),
        lambda: runner.read("/"),
        lambda: runner.tree("/"),
        lambda: runner.write("/x", b"1"),
    ]
    for ask in asks:
        host.outage = 3
        ask()
    assert len(waits) == 18
    assert all(0 <= wait <= 20 for wait in waits)
    host.outage = 4
    with pytest.raises(HostError):
        runner.run(LIST)
    assert host.outage == 0


@pytest.mark.parametrize("command", [CREATE, Command(LIST.argv, stdin=iter([b"used up"]))])
def test_what_cannot_be_done_twice_is_not_tried_again(command: Command) -> None:
    host = MemoryHost()
    host.outage = 1
    with pytest.raises(HostError):
        RetryRunner(host, sleep=lambda seconds: None).run(command)
    assert host.outage == 0


def test_a_failure_for_good_is_raised_at_once() -> None:
    tries = []

    def call() -> None:
        tries.append(1)
        raise HostError(Diagnostic("gone", "Gone"))

    with pytest.raises(HostError):
        retry(call, sleep=lambda seconds: None)
    assert tries == [1]


def test_a_transient_download_is_tried_again_too() -> None:
    tries: list[int] = []

    def call() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise DownloadError(Diagnostic("download-failed", "A download failed"), transient=True)
        return len(tries)

    assert retry(call, sleep=lambda seconds: None) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_nth_call_fails_before_or_after_its_effect(when: Literal["before", "after"]) -> None:
    host = MemoryHost()
    runner = FailRunner(host, 2, when)
    runner.batch([LIST, LIST])
    with pytest.raises(HostError) as caught:
        runner.run(CREATE)
    assert (caught.value.diagnostics[0].code, caught.value.transient) == ("injected-failure", False)
    assert ("zroot/x" in host.datasets) == (when == "after")
    assert runner.reached
    runner.write("/a", b"1")
    assert host.files == {"/a": b"1"}


def test_only_changing_calls_count_when_asked_so() -> None:
    host = MemoryHost()
    runner = FailRunner(host, 2, changing=True)
    runner.run(LIST)
    runner.batch([LIST])
    runner.run(CREATE)
    runner.gather([LIST], [])
    with pytest.raises(HostError):
        runner.write("/a", b"")
    assert host.files == {}


@pytest.mark.parametrize(("when", "left"), [("before", ""), ("after", "x\n")])
def test_a_kill_ends_the_process_at_that_call(when: str, left: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom wraps.memory import MemoryHost\nfrom reconciler.wraps import FailRunner\n"
        "class Disk(MemoryHost):\n"
        "    def write(self, path, data, mode=0o600):\n"
        "        open(path, 'ab').write(data)\n"
        "runner = FailRunner(Disk(), 1, sys.argv[1], 'kill')\n"
        "runner.write(sys.argv[2], b'x\\n')\nprint('survived')\n"
    )
    path = tmp_path / "file"
    path.touch()
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, when, str(path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": tests},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
    assert path.read_text() == left
