"""One command line for a sandbox from outside of it: `python -m reconciler.hosts.sandbox.shim DIR NAME ARGS…`.

`sh` writes as it goes, so that a session may come in this way: with the ForceCommand
`… shim DIR sh -c "$SSH_ORIGINAL_COMMAND"`, sshd(8) leads into the sandbox.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reconciler.hosts.sandbox.commands import sh
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.session import Incoming
from reconciler.model.command import Command
from reconciler.model.diagnostic import ReconcilerError


def main(argv: list[str]) -> int:
    """Answer it in this process, on our own standard streams."""
    machine = Machine(Path(argv[0]))
    stdin = b"" if sys.stdin.isatty() else Incoming(sys.stdin.fileno())
    try:
        command = Command(tuple(argv[1:]), stdin=stdin, timeout=86400.0)
        done = sh.main(machine, command, direct=True) if argv[1] == "sh" else machine.run(command)
    except (ReconcilerError, TimeoutError) as error:
        print(f"{argv[1]}: {error}", file=sys.stderr)
        return 126
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
