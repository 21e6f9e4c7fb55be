"""What stands for the value of an option or argument, in help, manual page and documentation."""

from __future__ import annotations

from typing import Any

WORDS = {
    "host": "URL", "label": "KEY=VALUE", "only": "JAIL", "retry": "JAIL", "mirror": "URL", "out": "FILE",
    "plan": "FILE", "specs": "PATH", "jobs": "N", "allow_data_loss": "JAIL", "reason": "TEXT", "limit": "N",
    "host_name": "NAME", "path": "PATH", "name": "NAME", "stop_after": "STAGE",
    "after": "FILE", "before": "FILE", "build_arg": "NAME=VALUE", "arg": "NAME=VALUE", "env": "NAME=VALUE",
    "directory": "DIR", "config": "FILE", "set_": "KEY=VALUE", "commit": "COMMIT",
    "what": "WHAT", "command": "COMMAND", "timeout": "SECONDS",
}  # fmt: skip


def word(param: Any) -> str:
    """The word for a parameter of a command."""
    return str(param.metavar or WORDS.get(param.name, param.name.upper()))


def put(command: Any) -> None:
    """Give every parameter of a command, and of those below it, its word; flags have none."""
    for param in command.params:
        if not getattr(param, "is_flag", False):
            param.metavar = word(param)
    for inner in getattr(command, "commands", {}).values():
        put(inner)
