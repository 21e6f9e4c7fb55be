"""Command lines in a sandbox with a small release, for jails with Makejails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Desk


@pytest.fixture
def desk(
    tmp_path: Path, mirror_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A folder with specs; its sandbox fetches from the tests' own mirror."""
    monkeypatch.setenv("RECONCILER_MIRROR", mirror_url)
    made = Desk(tmp_path, capsys, monkeypatch)
    yield made
    from reconciler.hosts.sandbox.machine import Machine

    Machine(tmp_path / "box").reboot()
