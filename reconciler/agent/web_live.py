"""Tells browsers that something changed, by server-sent events (WHATWG HTML, 9.2). They fetch the page themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from reconciler.agent.board import Board
from reconciler.agent.web import Answer, Ask, plain

STREAMS = 8
"""At once; each holds a thread of the server, which has more."""
LIFETIME = 600.0
"""Seconds after which a stream ends; the browser asks for another."""
PAUSE = 0.4
"""Seconds between two events, however much happens."""
KEEPALIVE = 15.0


class Live:
    """The streams of one board."""

    def __init__(self, board: Board) -> None:
        """None yet."""
        self._board = board
        self._free = threading.BoundedSemaphore(STREAMS)
        self._closing = threading.Event()

    def close(self) -> None:
        """End every stream."""
        self._closing.set()

    def answer(self, ask: Ask) -> Answer:
        """A stream, or 503 when all are taken; then the page looks by itself now and then."""
        if not self._free.acquire(blocking=False):
            return plain(503, "Too many pages watch already.", ("Retry-After", "30"))
        return Answer(200, _Stream(self._pieces(ask), self._free), "text/event-stream", (("X-Accel-Buffering", "no"),))

    def _pieces(self, ask: Ask) -> Iterator[bytes]:
        until = time.monotonic() + LIFETIME
        version = self._board.version
        yield f"retry: 2000\nevent: status\nid: {version}\ndata: {version}\n\n".encode()
        quiet = time.monotonic()
        while not ask.gone() and not self._closing.is_set() and time.monotonic() < until:
            latest, _ = self._board.wait(version, 1.0)
            if latest != version:
                version, quiet = latest, time.monotonic()
                yield f"event: status\nid: {version}\ndata: {version}\n\n".encode()
                self._closing.wait(PAUSE)
            elif time.monotonic() - quiet > KEEPALIVE:
                quiet = time.monotonic()
                yield b":\n\n"


class _Stream:
    """The pieces, which give their place back however the answer ends, begun or not."""

    def __init__(self, pieces: Iterator[bytes], free: threading.BoundedSemaphore) -> None:
        self._pieces, self._free = pieces, free
        self._held = True

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        if self._held:
            self._held = False
            self._free.release()
