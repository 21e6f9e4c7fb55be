"""service(8) on the host: rc scripts of DIR/host, run by a real shell inside the sandbox."""

from __future__ import annotations

from reconciler.hosts.sandbox import processes, rc
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.task import Task
from reconciler.model.command import Command, Completed

# Parts of the base system that need no script here: what they load is always loaded.
BUILT_IN = frozenset({"devfs", "pf", "netif", "routing", "zfs", "sysctl", "rctl", "bridge", "hostname"})
_ENV = {"HOME": "/", "PATH": processes.PATH}


def main(machine: Machine, command: Command) -> Completed:
    """Answer service."""
    words = list(command.argv[1:])
    if words[:1] == ["-j"] and len(words) > 2:
        inner = ("jexec", words[1], "/usr/sbin/service", *words[2:])
        return machine.run(Command(inner, timeout=command.timeout))
    rc.ready(machine)
    scripts = {script.name: script for script in rc.ordered(machine)}
    if words[:1] == ["-l"]:
        names = "".join(f"{name}\n" for name in sorted({*scripts, *BUILT_IN}))
        return Completed(command.argv, 0, names.encode())
    if words[:1] == ["-e"]:
        return Completed(command.argv, 0, b"".join(f"{s.path}\n".encode() for s in scripts.values()
                                                   if _run(machine, command, s, ["enabled"]).status == 0))  # fmt: skip
    if len(words) < 2 or words[0].startswith("-"):
        usage = "usage: service [-j <jail name or id>] [-v] [-E var=value] <rc.d script> <command>\n"
        return Completed(command.argv, 1, b"", usage.encode())
    script = scripts.get(words[0])
    if script is not None:
        return _run(machine, command, script, words[1:])
    if words[0] in BUILT_IN:
        return Completed(command.argv, 0)
    missing = (f"{words[0]} does not exist in /etc/rc.d or the local startup\n"
               "directories (/usr/local/etc/rc.d), or is not executable\n")  # fmt: skip
    return Completed(command.argv, 1, missing.encode())


def _run(machine: Machine, command: Command, script: rc.Script, words: list[str]) -> Completed:
    argv = ("/bin/sh", script.path, *words)
    task = Task(argv, 0, _ENV, "/", timeout=command.timeout)
    ended = processes.run(machine, task)
    if ended.timed_out:
        raise TimeoutError(f"{script.path} did not end within {command.timeout:g} seconds")
    return ended.completed


COMMAND = Simulated(("service",), main, transaction=False)
