"""What wakes the agent: a timer, a signal, a webhook, a change in a folder. The only door to watchdog.

A wake-up carries no more than its reason: whoever sends it, the agent looks at everything anew.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FULL = 1000
"""Wake-ups that are kept; a burst beyond says nothing new."""
WATCHED = 20_000
"""Files and folders below a folder that is watched; one with more is left to the timer."""
_CHANGES = ("created", "deleted", "modified", "moved")


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


class Watch:
    """Wakes when something below a folder changes, or when the folder itself is another one.

    The folder may be missing, be made again, or be a link that is led elsewhere: `look` watches what it is by now.
    Where the system cannot tell, or there is too much to watch, the timer alone does.
    """

    def __init__(self, folder: Path, wake: Wake, reason: str = "files changed") -> None:
        """Begin to watch."""
        self._folder, self._wake, self._reason = folder, wake, reason
        self._observers: list[Any] = []
        self._what: tuple[int, ...] | None = None
        self.look()

    def look(self) -> None:
        """Watch the folder that is there now, if that is another one, or the one that was is watched no more."""
        what = _identity(self._folder)
        alive = all(one.is_alive() for observer in self._observers for one in (observer, *observer.emitters))
        if what == self._what and alive:
            return
        self.close()
        self._what = what
        # The folder that holds it tells when it comes, goes, or is another one by now.
        self._begin(self._folder.parent, self._folder)
        if what and not _crowded(self._folder):
            self._begin(self._folder.resolve(), None)

    def close(self) -> None:
        """Watch nothing any more."""
        for observer in self._observers:
            with suppress(RuntimeError):  # it never began
                observer.stop()
                observer.join()
        self._observers = []

    def _begin(self, folder: Path, only: Path | None) -> None:
        """Watch all that lies below a folder, or directly in it the one entry `only`."""
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        wake, reason, name = self._wake, self._reason, os.fspath(only) if only is not None else ""

        class _Changed(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                ours = not name or name in (event.src_path, event.dest_path)
                if ours and event.event_type in _CHANGES and (not name or event.event_type != "modified"):
                    wake.now(reason)

        observer = Observer()
        self._observers.append(observer)
        # As many watches as the system allows are taken, or the folder is not there.
        with suppress(OSError):
            observer.schedule(_Changed(), os.fspath(folder), recursive=only is None)
            observer.start()


def _identity(folder: Path) -> tuple[int, ...]:
    """Which folder this is; () where there is none."""
    try:
        status = os.stat(folder)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino)


def _crowded(folder: Path) -> bool:
    """Whether there is too much below a folder: kqueue(2) takes a descriptor for each file."""
    count = 0
    for _, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        if count > WATCHED:
            return True
    return False


@contextmanager
def watching(folder: Path, wake: Wake, reason: str = "files changed") -> Iterator[Watch]:
    """Watch a folder for as long as the context lasts."""
    watch = Watch(folder, wake, reason)
    try:
        yield watch
    finally:
        watch.close()


class Pace:
    """How soon others may have the next turn: a few at once, then one each second, so that none can keep us busy."""

    def __init__(self, ticks: Callable[[], float], burst: int = 5, each: float = 1.0) -> None:
        """`ticks` only ever grows."""
        self._ticks, self._burst, self._each = ticks, burst, each
        self._left, self._filled = float(burst), ticks()

    def wait(self) -> float:
        """Count a turn, and answer the seconds until it may begin."""
        now = self._ticks()
        self._left = min(self._burst, self._left + (now - self._filled) / self._each) - 1.0
        self._filled = now
        return max(0.0, -self._left * self._each)
