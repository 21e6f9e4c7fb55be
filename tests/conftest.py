"""What all tests share: a mirror made once, a fleet for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import Fleet, mirror


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
