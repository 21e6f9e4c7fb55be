"""A gate between two readers of one stream: the second gets a chunk only after the first is done with it.

The first, a check, runs in a thread of its own and reads ahead of the second by what the queue holds; so checking and
using take as long as the slower of the two, not as both together.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import IO, cast

AHEAD = 4
"""Chunks that the check may be ahead."""
_BEAT = 0.1
"""Seconds between looks at whether the other side is still there."""


class _Left(Exception):
    """Whoever was given the chunks takes no more."""


class Gate:
    """One use: `through` a check."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Let these chunks through, one after the other."""
        self._chunks = chunks
        self._open: Queue[bytes | BaseException | None] = Queue(AHEAD)
        self._left = threading.Event()

    def through(self, check: Callable[[IO[bytes]], object]) -> Iterator[bytes]:
        """The chunks, each after `check` has read on behind it, the last after `check` has returned.

        What `check` raises, or the chunks themselves, is raised here, instead of the chunk that it was about. Chunks
        that `check` left unread are let through at the end of it.
        """
        thread = threading.Thread(target=self._run, args=(check,), daemon=True)
        thread.start()
        try:
            while True:
                try:
                    item = self._open.get(timeout=_BEAT)
                except Empty:
                    if thread.is_alive():
                        continue
                    item = self._open.get_nowait()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._left.set()
            thread.join()

    def _run(self, check: Callable[[IO[bytes]], object]) -> None:
        passing = _Passing(self._chunks, self._give)
        try:
            check(cast("IO[bytes]", passing))
            passing.finish()
            self._give(None)
        except _Left:
            return
        except BaseException as error:
            try:
                self._give(error)
            except _Left:
                return

    def _give(self, item: bytes | BaseException | None) -> None:
        while True:
            if self._left.is_set():
                raise _Left
            try:
                self._open.put(item, timeout=_BEAT)
            except Full:
                continue
            return


def as_file(chunks: Iterator[bytes]) -> IO[bytes]:
    """Chunks as a file that can be read once, from its start to its end."""
    return cast("IO[bytes]", _Passing(chunks, lambda _chunk: None))


class _Passing(io.RawIOBase):
    """The stream as a file: asking for more than the chunk at hand says that one is done with it."""

    def __init__(self, chunks: Iterator[bytes], give: Callable[[bytes], None]) -> None:
        super().__init__()
        self._chunks, self._give = chunks, give
        self._held, self._at = b"", 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, b"" at the end; less than asked for where a chunk ends."""
        if self._at == len(self._held):
            following = next(self._chunks, b"")
            if not following:
                return b""
            self.end()
            self._held, self._at = following, 0
        stop = len(self._held) if size < 0 else self._at + size
        piece = self._held[self._at : stop]
        self._at += len(piece)
        return piece

    def finish(self) -> None:
        """Give everything on that is left, to the very end: there the chunks may say that they were not right."""
        self.end()
        for chunk in self._chunks:
            self._give(chunk)

    def end(self) -> None:
        """Give the chunk at hand on."""
        if self._held:
            self._give(self._held)
            self._held, self._at = b"", 0
