"""A repository that is served over loopback, and an agent that follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.world import Work, World, daemon
from tests.fleet import Fleet


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


@pytest.fixture
def served(work: Work) -> Iterator[str]:
    with daemon(work.bare.parent) as url:
        yield f"{url}/jails.git"


@pytest.fixture
def world(fleet: Fleet, tmp_path: Path, served: str) -> Callable[..., World]:
    return lambda **config: World(fleet, tmp_path, served, **config)
