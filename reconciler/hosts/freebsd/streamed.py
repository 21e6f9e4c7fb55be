"""The standard output of a framed command, set aside in a file: what it says counts once its end was seen.

Content may be as large as a root. A connection that is lost in the middle must not look like a short answer, so that
nothing is handed on before the mark of the end has come; and it is not held in memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.hosts.freebsd import script
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.spool import Spool

_WINDOW = 1 << 20
_TAIL = 128 * 1024


class Streamed:
    """What came so far between the marks of `script.framed`, and around them."""

    def __init__(self, mark: str, most: int) -> None:
        """At most `most` bytes are taken."""
        self._mark = mark
        self._most = most
        self._spool = Spool(summed=False)
        self._tail = bytearray()

    def write(self, piece: bytes) -> None:
        """Append. Raises HostError (code `output-too-large`), and OSError where there is no room."""
        if self._spool.size + len(piece) > self._most:
            summary, detail = "A command printed too much", f"after {self._most} bytes of output, it was given up."
            hint = "What it did before is not undone: plan again to see how the host is now."
            raise HostError(Diagnostic("output-too-large", summary, detail, hint))
        self._spool.write(piece)
        self._tail += piece
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]

    def over(self, _stdout: bytearray, stderr: bytearray) -> bool:
        """Whether the body has ended; see `script.over`."""
        return script.over(self._mark, self._tail, stderr)

    def marks(self) -> bytes:
        """The marks alone, as if nothing had been between them: for `script.unframed` to judge."""
        ended = self._last(f"{self._mark}.".encode()) >= 0
        return f"{self._mark}\n{self._mark}.".encode() if ended else b""

    def pieces(self) -> Iterator[bytes]:
        """What was between them, in order. Call it once the end was seen."""
        start, end = f"{self._mark}\n".encode(), self._last(f"{self._mark}.".encode())
        at = self._first(start)
        at = end if at < 0 else at + len(start)
        while at < end:
            piece = self._spool.read(at, min(_WINDOW, end - at))
            yield piece
            at += len(piece)

    def _first(self, word: bytes) -> int:
        """Where a word begins; windows overlap by its length."""
        for at in range(0, self._spool.size, _WINDOW):
            found = self._spool.read(at, _WINDOW + len(word)).find(word)
            if found >= 0:
                return at + found
        return -1

    def _last(self, word: bytes) -> int:
        at = self._spool.size
        while at > 0:
            begin = max(0, at - _WINDOW)
            found = self._spool.read(begin, at - begin + len(word)).rfind(word)
            if found >= 0:
                return begin + found
            at = begin
        return -1
