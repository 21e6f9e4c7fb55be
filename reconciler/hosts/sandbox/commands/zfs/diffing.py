"""zfs diff."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer
from reconciler.hosts.sandbox.machine import Machine


def diff(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """zfs diff."""
