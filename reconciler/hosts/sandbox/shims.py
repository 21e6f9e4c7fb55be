"""A folder for PATH with one program for each command that the sandbox host answers."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from reconciler.hosts.sandbox.commands import sh
from reconciler.hosts.sandbox.machine import Machine

_SHELL_TOOLS = frozenset(sh.NAMES) - {"sysrc", "pw", "daemon", "rcorder"}


def write_shims(directory: Path, sandbox_dir: Path) -> list[str]:
    """Write the programs into `directory` and return their names. OSError when it cannot be written.

    Tools that every machine has (sed, awk, the shell itself) are left alone, so that scripts that run
    with this folder in front of PATH still work on the machine's own files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = sorted(set(Machine(sandbox_dir)._commands) - _SHELL_TOOLS)
    root = Path(__file__).resolve().parents[3]
    for name in names:
        words = [sys.executable, "-m", "reconciler.hosts.sandbox.shim", str(sandbox_dir.resolve()), name]
        text = f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {shlex.join(words)} \"$@\"\n"
        target = directory / name
        temporary = directory / f".{name}.{os.getpid()}"
        temporary.write_text(text)
        temporary.chmod(0o755)
        temporary.rename(target)
    return names
