"""lockf(1): a command under a lock of the kernel."""

from __future__ import annotations

import fcntl
import os
import time

from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

USAGE = "usage: lockf [-knpsTw] [-t seconds] file command [arguments]\n       lockf [-s] [-t seconds] fd"
_PAUSE = 0.02
"""Seconds between two tries for a lock."""


def main(machine: Machine, command: Command) -> Completed:
    """Answer lockf: the command's status, 75 when the lock cannot be had in time."""
    answer = Answer()
    try:
        return _locked(machine, command)
    except Refusal as refusal:
        if refusal.message:
            answer.warn(refusal.message, refusal.status)
        answer.status = refusal.status
        return answer.completed(command)


def _locked(machine: Machine, command: Command) -> Completed:
    words = list(command.argv[1:])
    letters, seconds = "", -1.0
    while words and words[0].startswith("-"):
        word = words.pop(0)[1:]
        if word.startswith("t"):
            seconds = float(word[1:] or words.pop(0))
        elif "t" in word:
            letters, seconds = letters + word.rstrip("t"), float(words.pop(0))
        else:
            letters += word
    if len(words) < 2:
        raise Refusal(USAGE, 64)
    path = machine.resolve(words[0])
    if "n" in letters and not path.exists():
        raise Refusal(f"lockf: cannot open {words[0]}: No such file or directory", 69)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not _had(fd, seconds):
            raise Refusal("" if "s" in letters else f"lockf: {words[0]}: already locked", 75)
        inner = Command(tuple(words[1:]), command.stdin, command.timeout, command.env, command.limit)
        done = machine.run(inner)
        if "k" not in letters:
            path.unlink(missing_ok=True)
        return Completed(command.argv, done.status, done.stdout, done.stderr)
    finally:
        os.close(fd)


def _had(fd: int, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if seconds >= 0 and time.monotonic() >= limit:
                return False
            time.sleep(_PAUSE)
        else:
            return True


COMMAND = Simulated(("lockf",), main, transaction=False)
