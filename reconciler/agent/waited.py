"""How long commits have waited, over restarts. Only time during which an agent ran counts, by a clock that never jumps:
somebody who is to object within half an hour has had it, whatever the machine's clock said meanwhile.

It lies in the agent's folder: losing it means to wait anew, and a file that others may write is as none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reconciler.agent.orders import read_own, write_whole

_FILE = "waited.json"
_KEPT = 100
_LONGEST = 1e9


class Waited:
    """The seconds that each commit has waited. `ticks` only ever grows."""

    def __init__(self, state: Path, ticks: Callable[[], float]) -> None:
        """Nothing is read yet."""
        self._file, self._ticks = state / _FILE, ticks
        self._before: dict[str, float] | None = None
        self._since: dict[str, float] = {}

    def seconds(self, sha: str) -> float:
        """How long `sha` has waited; the first question begins it."""
        if self._before is None:
            self._before = _read(self._file)
        while len(self._since) >= _KEPT and sha not in self._since:
            del self._since[next(iter(self._since))]
        return self._before.get(sha, 0.0) + self._ticks() - self._since.setdefault(sha, self._ticks())

    def keep(self, sha: str) -> float:
        """Write down how long `sha` has waited so far, and answer it; where that fails a restart begins anew."""
        seconds = self.seconds(sha)
        known = [(other, before) for other, before in (self._before or {}).items() if other != sha]
        self._write(dict([*known[1 - _KEPT :], (sha, seconds)]))
        return seconds

    def forget(self, sha: str) -> None:
        """It waits no longer."""
        self._since.pop(sha, None)
        held = _read(self._file)
        if held.pop(sha, None) is not None:
            self._write(held)
        if self._before is not None:
            self._before.pop(sha, None)

    def _write(self, seconds: dict[str, float]) -> None:
        with suppress(OSError):
            write_whole(self._file, json.dumps(seconds).encode())


def _read(file: Path) -> dict[str, float]:
    with suppress(OSError, ValueError, AttributeError):
        held = json.loads(read_own(file)).items()
        return {sha: float(given) for sha, given in held if isinstance(given, int | float) and 0 <= given < _LONGEST}
    return {}
