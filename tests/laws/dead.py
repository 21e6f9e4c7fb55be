"""A tool that died: from one call on, nothing more reaches the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reconciler.model.command import Runner
from reconciler.wrapper import EveryCall

T = TypeVar("T")


class Died(BaseException):
    """Not an error that anybody handles: the process is gone."""


class DyingRunner(EveryCall):
    """Dies at the n-th changing call (from 1), before or after its effect; all later calls die too."""

    def __init__(self, inner: Runner, n: int, *, after: bool) -> None:
        """`n` = 0 never dies; `calls` counts the changing calls seen."""
        super().__init__(inner)
        self.n, self.after, self.calls, self.dead = n, after, 0, False

    def _call(self, call: Callable[[], T], *, changes: bool) -> T:
        if self.dead:
            raise Died
        if changes:
            self.calls += 1
        now = changes and self.calls == self.n
        if now and not self.after:
            self.dead = True
            raise Died
        answer = call()
        if now:
            self.dead = True
            raise Died
        return answer

    def read(self, path: str) -> bytes | None:
        """Read, unless dead."""
        return self._call(lambda: self.inner.read(path), changes=False)

    def tree(self, path: str) -> dict[str, bytes]:
        """Read, unless dead."""
        return self._call(lambda: self.inner.tree(path), changes=False)
