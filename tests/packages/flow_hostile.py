"""Every hostile package that the tables know, offered to a host in every way. Slow: `make test-slow`."""

from __future__ import annotations

from .evil import ARCHIVES, refused_everywhere
from .test_refused import desk

__all__ = ["desk"]


def test_every_hostile_archive_is_refused_and_nothing_is_made(desk):
    for name, data in ARCHIVES.items():
        try:
            refused_everywhere(desk, data)
        except AssertionError as error:
            raise AssertionError(name) from error
