"""Processes of jails without isolation, for machines whose kernel refuses namespaces and users who asked for it.

The program is this machine's own of the same name; it starts in the jail's folder, and can see everything.
"""

from __future__ import annotations

import shutil
import subprocess

from reconciler.hosts.sandbox import jailtable
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.task import Ended, Task
from reconciler.model.command import Completed


def run(machine: Machine, task: Task) -> Ended:
    """Run a task with this machine's program, in the root's folder; `SANDBOX_ROOT` names that folder."""
    with machine.state.transaction():
        path = str(jailtable.find_number(machine, task.jail)["path"]) if task.jail else "/"
        root = machine.resolve(path)
        cwd = machine.resolve(f"{path.rstrip('/')}/{task.cwd.lstrip('/')}")
    program = shutil.which(task.argv[0].rpartition("/")[2])
    if program is None:
        return Ended(Completed(task.argv, 1), "exec", "No such file or directory")
    stdin = task.stdin if isinstance(task.stdin, bytes) else b"".join(task.stdin)
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **task.env, "SANDBOX_ROOT": str(root)}
    try:
        done = subprocess.run(
            (program, *task.argv[1:]), input=stdin, env=env, cwd=cwd, capture_output=True,
            timeout=task.timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ended(Completed(task.argv, 137), timed_out=True)
    status = 128 - done.returncode if done.returncode < 0 else done.returncode
    return Ended(Completed(task.argv, status, done.stdout, done.stderr))
