"""What wakes the agent: a timer, a signal, a webhook, a change in a folder. The only door to watchdog.

A wake-up carries no more than its reason: whoever sends it, the agent looks at everything anew.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = 1000
"""Wake-ups that are kept; a burst beyond says nothing new."""


class Wake:
    """Waits, and is woken. `now` may be called from threads and from signal handlers."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        # Unlike a condition, a simple queue may be put into by a signal handler that interrupts its own reader.
        self._reasons: queue.SimpleQueue[str] = queue.SimpleQueue()

    def now(self, reason: str) -> None:
        """Wake whoever waits, or the next who does; `reason` is a word or two for the log."""
        if self._reasons.qsize() < FULL:
            self._reasons.put(reason)

    def wait(self, timeout: float) -> tuple[str, ...]:
        """Why it was woken, each reason once; () when `timeout` seconds passed without any."""
        try:
            found = [self._reasons.get(timeout=max(0.0, timeout)) if timeout > 0 else self._reasons.get_nowait()]
        except queue.Empty:
            return ()
        while True:
            try:
                found.append(self._reasons.get_nowait())
            except queue.Empty:
                return tuple(dict.fromkeys(found))


@contextmanager
def watching(folder: Path, wake: Wake, reason: str = "files changed") -> Iterator[None]:
    """Wake when something below `folder` changes. Where the system cannot tell, the timer alone does."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class _Changed(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type in ("created", "deleted", "modified", "moved"):
                wake.now(reason)

    observer = Observer()
    try:
        observer.schedule(_Changed(), str(folder), recursive=True)
        observer.start()
    except OSError:  # as many watches as the system allows are taken, or the folder is not there yet
        yield
        return
    try:
        yield
    finally:
        observer.stop()
        observer.join()
