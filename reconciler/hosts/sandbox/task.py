"""A process to run in the sandbox, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.model.command import Completed, Output


@dataclass(frozen=True, slots=True)
class Task:
    """A process to run: in the jail of number `jail`, or on the sandbox host (0).

    `timeout` is in seconds. A `direct` one writes to our own standard streams as it goes, and none of it is kept.
    """

    argv: tuple[str, ...]
    jail: int = 0
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    stdin: bytes | Iterable[bytes] = b""
    timeout: float = 120.0
    limit: int = 256 * 1024 * 1024
    output: Output | None = None
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. `stage` names what failed before it ran: "chdir", "exec", or ""."""

    completed: Completed
    stage: str = ""
    reason: str = ""
    timed_out: bool = False
