"""What a process inside hands to the simulator and gets back, by the client in perl and by the one in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import processes, userland
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.model.command import Command, Completed

ODD = "a\tb\n\"c\\d' é€🎉 end"


@pytest.fixture(params=["perl", "python"])
def runner(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxRunner]:
    """A host whose commands are handed on by one of the clients."""
    if request.param == "python":
        monkeypatch.setattr(userland, "_SYSTEM_CALLS", {})
    machine = Machine(tmp_path)
    yield SandboxRunner(machine)
    (folder,) = (tmp_path / "machine").iterdir()
    assert (folder / "client.pl").exists() == (request.param == "perl")
    processes.kill_everything(machine)


def sh(runner: SandboxRunner, text: str, *words: str) -> Completed:
    return runner.run(Command(("sh", "-c", text, "sh", *words)))


def test_status_and_both_outputs_come_back(runner: SandboxRunner) -> None:
    done = sh(runner, "zfs list -H -o name; zfs list nowhere; echo $?; zfs frob 2>/dev/null; echo $?")
    assert done.stdout == b"zroot\n1\n2\n"
    assert done.stderr == b"cannot open 'nowhere': dataset does not exist\n"


def test_any_word_arrives_as_it_is(runner: SandboxRunner) -> None:
    assert sh(runner, 'zfs set reconciler:odd="$1" zroot', ODD).status == 0
    kept = runner.run(Command(("zfs", "get", "-H", "-o", "value", "reconciler:odd", "zroot"))).stdout.decode()
    assert kept == ODD + "\n"


def test_bytes_that_are_no_text_stay_the_same(runner: SandboxRunner) -> None:
    done = sh(runner, "zfs list \"$(printf 'x\\377\\355\\240\\200y')\"")
    assert b"x\xff\xed\xa0\x80y" in done.stderr, done


def test_the_working_directory_counts(runner: SandboxRunner) -> None:
    assert sh(runner, "mkdir -p /tmp/a/b && touch /tmp/a/f && tar -cf /tmp/a/x.tar -C /tmp/a f").status == 0
    assert sh(runner, "cd /tmp/a/b && tar -tf ../x.tar").stdout == b"f\n"


def test_standard_input_is_handed_on_and_a_closed_one_is_empty(runner: SandboxRunner) -> None:
    assert sh(runner, "touch /tmp/f && tar -cf - -C /tmp f | tar -tf -").stdout == b"f\n"
    assert sh(runner, "zfs list -H -o name <&- 2>&-").stdout == b"zroot\n"
    assert sh(runner, "zfs list -H -o name >&-; echo still").stdout == b"still\n"
