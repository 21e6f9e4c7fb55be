"""The board as a file, for `reconcile status` and its like: JSON of mode 0600 that lasts until the next boot.

Jails stand in a file of their own, which is written only when one of them changed: there may be many.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from reconciler.agent.board import Jail, Status
from reconciler.agent.orders import write_whole
from reconciler.model.diagnostic import Diagnostic, Refused

_STATUS, _JAILS, _LOCK = "agent.json", "agent-jails.json", "agent.lock"
_OFTEN = 0.5
_MAX = 64 * 1024 * 1024


class Published:
    """Writes what it is shown. A folder that cannot be written is no reason to stop anything."""

    def __init__(self, run: Path, ticks: Callable[[], float] = time.monotonic) -> None:
        """Write below `run`; what running steps print is written once in a while only."""
        self._run, self._ticks = run, ticks
        self._jails: tuple[Jail, ...] | None = None
        self._texts: dict[str, tuple[Jail, bytes]] = {}
        self._without_steps: Status | None = None
        self._written = 0.0

    def show(self, status: Status) -> None:
        """Write the status, and the jails where they changed."""
        without = replace(status, steps=())
        if without == self._without_steps and status.steps and self._ticks() - self._written < _OFTEN:
            return
        self._without_steps, self._written = without, self._ticks()
        try:
            if status.jails != self._jails:
                write_whole(self._run / _JAILS, self._of(status.jails))
                self._jails = status.jails
            self._write(_STATUS, _plain(status))
        except OSError:
            with suppress(OSError):  # better nothing than what is no longer so
                (self._run / _STATUS).unlink()

    def _of(self, jails: tuple[Jail, ...]) -> bytes:
        """All jails as JSON. Most are those that were written last time."""
        texts = {}
        for jail in jails:
            held, text = self._texts.get(jail.name, (None, b""))
            texts[jail.name] = (jail, text if held is jail else _json(asdict(jail)))
        self._texts = texts
        return b"[" + b",".join(text for _, text in texts.values()) + b"]"

    def _write(self, name: str, value: Any) -> None:
        write_whole(self._run / name, _json(value))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode()


def _plain(status: Status) -> dict[str, Any]:
    plan = replace(status.plan, document={}) if status.plan is not None else None
    return asdict(replace(status, jails=(), plan=plan))


def read_status(run: Path) -> dict[str, Any] | None:
    """What a running agent says of itself, jails included; None where none runs."""
    return None if _free(run) else last_said(run)


def last_said(run: Path) -> dict[str, Any] | None:
    """What an agent said last, whether it runs or not, such as one that cron starts for a turn."""
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(_read(run / _STATUS))
        with suppress(OSError, ValueError):
            found["jails"] = json.loads(_read(run / _JAILS))
        return found
    return None


def wake(run: Path) -> bool:
    """Have a running agent look at once, with the configuration that it has; False where none runs."""
    status = read_status(run)
    if status is None or not isinstance(status.get("pid"), int) or status["pid"] <= 1:
        return False
    try:
        os.kill(status["pid"], signal.SIGUSR1)
    except OSError:
        return False
    return True


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Be the one agent of this folder. Raises Refused (`agent-running`)."""
    try:
        run.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(run / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        detail = f"{run}: {error.strerror or error}."
        hint = "Run it as root, or name a folder of yours: --set run=DIR --set state=DIR"
        raise Refused(Diagnostic("agent-folder", "The agent's folder cannot be used", detail, hint)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        detail = f"Another agent works with {run}."
        hint = "service reconciler status"
        raise Refused(Diagnostic("agent-running", "An agent is running already", detail, hint)) from error
    try:
        with suppress(OSError):  # what an earlier one said of itself: its process number is somebody else's by now
            (run / _STATUS).unlink()
        yield
    finally:
        os.close(descriptor)


def _free(run: Path) -> bool:
    """Whether nobody holds the lock: what the file says is then of an agent that has gone."""
    try:
        descriptor = os.open(run / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read(_MAX)
