"""A stream whose reader may go away while work is done: what cannot be shown any more stops no work."""

from __future__ import annotations

import io
from typing import TextIO


class Steady(io.TextIOBase):
    """Writes to another stream until that fails once (a closed terminal or pipe, a full disk), then nothing more.

    Whoever writes to the other stream itself afterwards is told of the failure there.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, which stays its owner's."""
        self._stream = stream
        self._lost = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The other stream's."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Whether the other stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The other stream's descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, or not: never raises OSError."""
        try:
            if not self._lost:
                self._stream.write(text)
        except OSError:
            self._lost = True
        return len(text)

    def flush(self) -> None:
        """Flush, or not: never raises OSError."""
        try:
            if not self._lost:
                self._stream.flush()
        except OSError:
            self._lost = True
