"""sh(1) and the small tools of the host that no simulation needs: they run for real, inside the sandbox."""

from __future__ import annotations

from reconciler.hosts.sandbox import processes, rc
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.task import Task
from reconciler.model.command import Command, Completed

NAMES = (
    "sh", "env", "true", "false", "sleep", "echo", "printf", "awk", "sed", "grep", "sort", "wc", "head", "tail",
    "date", "expr", "xargs", "daemon", "sysrc", "rcorder", "pw", "which", "timeout", "nohup", "setsid", "tr", "cut",
    "seq", "diff", "cmp", "dirname", "basename",
)  # fmt: skip


def main(machine: Machine, command: Command, *, direct: bool = False) -> Completed:
    """Run the program on the sandbox host; TimeoutError when it does not end in time.

    A `direct` one has our own standard streams, so that what it says is heard while it runs.
    """
    rc.ready(machine)
    env = dict(command.env)
    task = Task(command.argv, 0, env, "/", command.stdin, command.timeout, command.limit, command.output, direct)
    ended = processes.run(machine, task)
    if ended.timed_out:
        raise TimeoutError(f"{' '.join(command.argv)} did not end within {command.timeout:g} seconds")
    if ended.stage == "exec":
        words = f"{command.argv[0]}: {'not found' if ended.completed.status == 127 else ended.reason}\n"
        return Completed(command.argv, 127, b"", words.encode())
    return ended.completed


COMMAND = Simulated(NAMES, main, transaction=False)
