"""A disk that is full at any moment fails the step, and nothing half made is left once there is room again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.wrapper import Wrapper
from tests.crash.invariants import orphans
from tests.fleet import Fleet, problems

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
makejail: {text: "CMD echo one > /etc/one\\nCMD echo two > /etc/two"}
volumes: [{name: www, mountpoint: /usr/local/www}]
"""
FULL: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "create": lambda argv: argv[:2] == ("zfs", "create") and "volumes/web/" in argv[-1],
    "unpack": lambda argv: argv[0] == "tar",
    "clone": lambda argv: argv[:2] == ("zfs", "clone"),
    "snapshot": lambda argv: argv[:2] == ("zfs", "snapshot"),
    "run": lambda argv: argv[0] == "sh",
    "seal": lambda argv: argv[0] == "jexec",
}


class FullDisk(Wrapper):
    """The disk is full for some commands; with `files`, for every file that is written."""

    def __init__(self, fleet: Fleet, full: Callable[[tuple[str, ...]], bool], *, files: bool = False) -> None:
        super().__init__(fleet.runner)
        self.full, self.files = full, files

    def run(self, command: Command) -> Completed:
        if self.full(command.argv):
            return Completed(command.argv, 1, b"", f"{command.argv[0]}: out of space\n".encode())
        return self.inner.run(command)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        if self.files:
            raise HostError(Diagnostic("host-file", "A file cannot be written", f"{path}: No space left on device"))
        self.inner.write(path, data, mode)


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_fails_the_run_and_the_next_one_with_room_converges(fleet: Fleet, what: str) -> None:
    fleet.write(SPEC)
    report = fleet.apply(FullDisk(fleet, FULL[what]))
    assert not report.ok
    assert what in ("run", "seal") or "out of space" in "".join(problems(report))  # those show their output
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []


def test_files_that_cannot_be_written_leave_the_old_ones_whole(fleet: Fleet) -> None:
    fleet.write(SPEC)
    fleet.apply()
    before = fleet.runner.tree("/reconciler/jails/web")
    fleet.write(SPEC + "hostname: www.example.org\n")
    report = fleet.apply(FullDisk(fleet, lambda _argv: False, files=True))
    assert "No space left on device" in "".join(problems(report))
    assert fleet.runner.tree("/reconciler/jails/web") == before
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
