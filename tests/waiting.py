"""Waiting for what other threads and processes do at their own pace: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds after which something will not happen any more, on however busy a machine."""


def until(found: Callable[[], Any], said: Callable[[], object] = lambda: "", seconds: float = PATIENCE) -> Any:
    """What is found as soon as that is something; after `seconds` an error with what `said` answers."""
    end = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < end, f"it never came to that: {said()}"
        time.sleep(0.02)  # nothing tells but looking again
    return what
