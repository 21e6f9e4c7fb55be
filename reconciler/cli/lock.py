"""The one lock of a pool: whoever changes it holds it."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from reconciler.model.ports import Host


def lock_path(pool: str) -> str:
    """Where the lock of a pool lies on its host."""
    return f"/var/run/reconciler-{pool.replace('/', '_')}.lock"


def holder(command: str) -> str:
    """Who holds it: for the one who finds it held."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"reconcile {command}, pid {os.getpid()}, {user()}@{socket.gethostname()}, since {since}"


def locked(host: Host, pool: str, command: str) -> AbstractContextManager[None]:
    """Hold the pool's lock. Raises Refused (code `locked`), naming who has it."""
    return host.files.lock(lock_path(pool), holder(command))


def user() -> str:
    """Who runs this, by name where there is one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no passwd entry for this uid, as in some containers
        return str(os.getuid())
