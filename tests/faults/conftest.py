"""A fleet of one stopped-by-default or running jail, and words for what an operator does by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.command import Command
from tests.fleet import Fleet

Hand = Callable[..., str]


@pytest.fixture
def hand(fleet: Fleet) -> Hand:
    """Type a command line on the host, and get what it prints; it has to succeed."""

    def run(*argv: str, stdin: bytes = b"") -> str:
        done = fleet.runner.run(Command(argv, stdin=stdin))
        assert done.status == 0, done.stderr.decode()
        return done.stdout.decode()

    return run
