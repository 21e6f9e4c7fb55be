"""What is happening, while it happens: one line for each step that ended, and bytes of long work.

On a terminal the bytes are bars below the lines; elsewhere they are a line at every quarter.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, cast

from reconciler.cli.paper import Ink, Paper, paper, size
from reconciler.cli.show import visible
from reconciler.cli.steady import Steady
from reconciler.model.action import Step
from reconciler.model.command import Output
from reconciler.model.outcome import Outcome, Result
from reconciler.model.value import Ref

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

TAIL = 4096
"""Bytes kept of what a step's commands printed, from the end."""
_SMALL = 1_000_000
_WORDS: Mapping[Outcome, tuple[str, Ink]] = {
    "applied": ("done", "green"),
    "already-done": ("already done", "green"),
    "blocked": ("blocked", "yellow"),
    "moved": ("MOVED", "red"),
    "failed": ("FAILED", "red"),
    "stopped": ("not begun", "yellow"),
}
Ended = Callable[[Step, Result, bytes], None]


class Progress:
    """The watch of a run: told by the executor from several threads, writes from one at a time."""

    def __init__(self, ended: Ended, stream: TextIO | None = None, patience: float = 30.0) -> None:
        """`ended` hears each step's end, with the end of its output; a step longer than `patience` (s) is named."""
        self._ended = ended
        self._stream: TextIO = cast("TextIO", Steady(stream or sys.stdout))
        self._paper: Paper = paper(self._stream)
        self._guard = threading.RLock()
        self._tails: dict[Ref, bytearray] = {}
        self._running: dict[int, Step] = {}
        self._patience = patience
        self._clocks: dict[int, threading.Timer] = {}
        self._quarters: dict[Ref, int] = {}
        self._bars: Bars | None = None
        self._tasks: dict[Ref, TaskID] = {}

    def __enter__(self) -> Progress:
        """Begin."""
        if self._stream.isatty():
            self._bars = _bars(self._stream, color=self._paper.color)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        for clock in self._clocks.values():
            clock.cancel()
        if self._bars is not None:
            self._bars.stop()

    def watch(self, event: str, step: Step, result: Result | None) -> None:
        """The executor's events: "begin", and "end" with a result."""
        with self._guard:
            if event == "begin":
                self._running[step.number] = step
                self._clocks[step.number] = clock = threading.Timer(self._patience, self._long, [step])
                clock.daemon = True
                clock.start()
            elif result is not None:
                self._running.pop(step.number, None)
                if step.number in self._clocks:
                    self._clocks.pop(step.number).cancel()
                self._end(step, result)

    def running(self) -> list[str]:
        """What is being done now."""
        with self._guard:
            return [_name(step) for step in self._running.values()]

    def output(self, ref: Ref) -> Output:
        """Keeps the end of what a step's commands print."""

        def take(data: bytes) -> None:
            with self._guard:
                tail = self._tails.setdefault(ref, bytearray())
                tail += data
                del tail[:-TAIL]

        return take

    def moved(self, ref: Ref) -> Callable[[int, int | None], None]:
        """Told (done, total) in bytes on long work; a total of None is not known."""
        return lambda done, total: self._bytes(ref, done, total)

    def say(self, line: str) -> None:
        """One line above the bars. The caller has escaped what is not printable."""
        with self._guard:
            if self._bars is not None:
                from rich.text import Text

                self._bars.console.print(Text.from_ansi(line), soft_wrap=True)
            else:
                print(line, file=self._stream, flush=True)

    def tail(self, ref: Ref) -> bytes:
        """The end of a step's output."""
        with self._guard:
            return bytes(self._tails.get(ref, b""))

    def _long(self, step: Step) -> None:
        with self._guard:
            if step.number in self._running:
                self.say(f"{visible(_name(step))} ... still at it after {self._patience:.0f} s")

    def _end(self, step: Step, result: Result) -> None:
        ref = step.action.ref
        word, ink = _WORDS[result.outcome]
        took = f" ({result.seconds:.1f} s)" if result.outcome in ("applied", "failed", "moved") else ""
        why = f": {result.diagnostics[0].detail}" if result.outcome == "blocked" and result.diagnostics else ""
        self.say(f"{visible(_name(step))} ... {self._paper.ink(word, ink)}{took}{visible(why)}")
        if self._bars is not None and ref in self._tasks:
            self._bars.remove_task(self._tasks.pop(ref))
        self._ended(step, result, self.tail(ref))

    def _bytes(self, ref: Ref, done: int, total: int | None) -> None:
        with self._guard:
            if self._bars is not None:
                if ref not in self._tasks:
                    self._tasks[ref] = self._bars.add_task(visible(str(ref)), total=total or None)
                self._bars.update(self._tasks[ref], completed=done, total=total or None)
                return
            quarter = done * 4 // total if total and total > _SMALL else 0
            if total and quarter > self._quarters.get(ref, 0):
                self._quarters[ref] = quarter
                self.say(f"{visible(str(ref))}: {quarter * 25} % ({size(done)} of {size(total)})")


def _name(step: Step) -> str:
    return f"{step.scope or '(shared)'}: {step.action.title()}"


def _bars(stream: TextIO, *, color: bool) -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return RichProgress(*columns, console=Console(file=stream, no_color=not color), transient=True)
