"""What all tests share: a mirror made once, a fleet for each test."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from reconciler.releases.eol import TABLE_DATE
from reconciler.today import VARIABLE
from tests.fleet import Fleet, mirror

MEMORY = Path("/dev/shm")

# Releases grow old: every test, and every command that it starts, lives on the day of the table of ends of life.
os.environ[VARIABLE] = TABLE_DATE.isoformat()

# What a test starts hears its signals, also where nohup(1) or a background shell made us deaf: sh(1) cannot trap one to
# which it was born deaf.
for deaf in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(deaf) is signal.SIG_IGN:
        signal.signal(deaf, signal.default_int_handler if deaf == signal.SIGINT else signal.SIG_DFL)

# What is tried is the same each time, so that a run tells of the code alone; EXPLORE=1 tries something new.
# How long anything takes tells of the machine and of who else works on it.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", PATIENT, derandomize=True, database=None)
settings.register_profile("explore", PATIENT)
settings.load_profile("explore" if os.environ.get("EXPLORE") else "same")


def in_memory() -> bool:
    """Whether there is a folder in memory that has room for hosts and lets their programs run."""
    try:
        runs = not os.statvfs(MEMORY).f_flag & getattr(os, "ST_NOEXEC", 0)
        return runs and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 << 30
    except OSError:
        return False


# A host is a thousand small files, and a test makes and deletes one or two: a third of its time on a disk.
if in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def mirror_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A mirror with two releases on disk."""
    return mirror(tmp_path_factory.mktemp("mirror"), "15.1-RELEASE", "14.4-RELEASE")


@pytest.fixture
def fleet(tmp_path: Path, mirror_url: str) -> Iterator[Fleet]:
    """An empty host."""
    made = Fleet(tmp_path, mirror_url)
    yield made
    made.close()
