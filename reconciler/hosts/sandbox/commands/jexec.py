"""jexec(8): a process in a jail."""

from __future__ import annotations

import os

from reconciler.hosts.sandbox import inside, jailtable, processes
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.task import Task
from reconciler.model.command import Command, Completed

USAGE = "usage: jexec [-l] [-d working-directory] [-u username | -U username] jail\n       [command ...]"
_LOGIN_ENV = {"SHELL": "/bin/sh", "HOME": "/root", "USER": "root", "BLOCKSIZE": "K", "MAIL": "/var/mail/root",
              "MM_CHARSET": "UTF-8", "LANG": "C.UTF-8", "TERM": "su",
              "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin"}  # fmt: skip


def main(machine: Machine, command: Command) -> Completed:
    """Answer jexec; the exit status is the command's."""
    answer = Answer()
    try:
        return _run(machine, command)
    except Refusal as refusal:
        answer.warn(refusal.message if refusal.message.startswith("usage") else f"jexec: {refusal.message}")
        return answer.completed(command)


def _run(machine: Machine, command: Command) -> Completed:
    given, words = _arguments(list(command.argv[1:]))
    with machine.state.reading():
        record = jailtable.find(machine, words[0])
    if record is None:
        raise Refusal(jailtable.missing(words[0]))
    jid = int(record["jid"])
    argv = tuple(words[1:]) or ("/bin/sh",)
    user = given.get("u") or given.get("U") or "root"
    home = _home(machine, str(record["path"]), user)
    if home is None:
        raise Refusal(f"{user}: no such user")
    cwd = given.get("d", home if "l" in given else "/")
    name = argv[0].rpartition("/")[2]
    # The simulator's own commands need no process; a script inside reaches them through the door.
    spoken = argv[2:] if name == "env" and len(argv) > 2 and "=" in argv[1] else argv
    if inside.archives(spoken) or (name in inside.ANSWERED and name not in ("chown", "chgrp", "chflags")):
        asked = Command(spoken, stdin=command.stdin, timeout=command.timeout, env=command.env)
        done = inside.answer(machine, jid, asked, cwd)
        return Completed(command.argv, done.status, done.stdout, done.stderr)
    env = dict(_LOGIN_ENV) if "l" in given else dict(command.env)
    if "l" in given:
        env |= {"HOME": home, "USER": user}
    task = Task(argv, jid, env, cwd, command.stdin, command.timeout, command.limit, command.output)
    ended = processes.run(machine, task)
    if ended.timed_out:
        raise TimeoutError(f"{' '.join(argv)}: no end within {command.timeout:g} seconds")
    if ended.stage == "chdir":
        raise Refusal(f"chdir: {cwd}: {ended.reason}")
    if ended.stage == "exec":
        raise Refusal(f"execvp: {argv[0]}: {ended.reason}")
    done = ended.completed
    return Completed(command.argv, done.status, done.stdout, done.stderr)


def _arguments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    given: dict[str, str] = {}
    while words and words[0].startswith("-") and len(words[0]) > 1:
        letters = words.pop(0)[1:]
        for place, letter in enumerate(letters):
            if letter in "duU":
                given[letter] = letters[place + 1 :] or (words.pop(0) if words else "")
                break
            if letter not in "ln":
                raise Refusal(f"illegal option -- {letter}\n{USAGE}")
            given[letter] = ""
    if not words:
        raise Refusal(USAGE)
    return given, words


def _home(machine: Machine, path: str, user: str) -> str | None:
    """The home of a user of the jail's passwd(5); root is known without one."""
    try:
        real = machine.resolve(f"{path.rstrip('/')}/etc/passwd", follow=False, write=False)
        with open(real, opener=lambda p, f: os.open(p, f | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            rows = [line.rstrip("\n").split(":") for line in file if line.count(":") >= 6]
    except (OSError, ValueError):
        rows = []
    homes = {row[0]: row[5] for row in rows}
    return homes.get(user, "/root" if user == "root" else None)


COMMAND = Simulated(("jexec",), main, transaction=False)
