"""The desk of the command line's tests serves these too."""

from tests.cli.conftest import desk

__all__ = ["desk"]
