"""The tool is killed while a command runs inside a build jail: that command writes nothing once the next run began."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from reconciler.model.command import Command, Completed, Runner
from reconciler.wrapper import Wrapper
from tests.crash.invariants import orphans
from tests.crash.trial import converge, forked
from tests.fleet import Fleet

MARK = f"31{os.getpid():08d}"  # seconds that no other process on this machine sleeps
SPEC = f"""
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
makejail:
  text: |
    CMD echo one > /etc/one
    CMD echo at work && sleep {MARK}
"""


class KillWithin(Wrapper):
    """SIGKILL this very process a moment after it began the second script of a build, which would never end."""

    def __init__(self, inner: Runner) -> None:
        super().__init__(inner)
        self.scripts = 0

    def run(self, command: Command) -> Completed:
        self.scripts += command.argv[0] == "sh"
        if self.scripts == 2:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return self.inner.run(command)


def sleepers() -> list[int]:
    """Processes of this machine that sleep the marked time."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"sleep") and MARK.encode() in words:
                found.append(int(folder.name))
    return found


def test_a_child_of_a_killed_run_is_gone_when_the_next_run_has_converged(fleet: Fleet) -> None:
    fleet.write(SPEC)
    status, _ = forked(lambda: converge(fleet, KillWithin(fleet.runner)))
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    fleet.write(SPEC.replace(f" && sleep {MARK}", " > /etc/two"))
    assert converge(fleet) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []
    assert sleepers() == []
