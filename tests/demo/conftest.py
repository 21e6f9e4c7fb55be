from pathlib import Path

import pytest

from reconciler.hosts.sandbox import rc
from reconciler.hosts.sandbox.machine import Machine

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture
def folder(tmp_path):
    """Where a demo goes; what it left running is ended."""
    yield tmp_path / "demo"
    if (tmp_path / "demo" / "host").exists():
        rc.shutdown(Machine(tmp_path / "demo" / "host"))
