"""Failing on purpose: what the laws and the crash matrix need, over any way to a host."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

from reconciler.model.command import Runner
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.wrapper import EveryCall

T = TypeVar("T")


class FailRunner(EveryCall):
    """Fails at the n-th call from 1, before or after its effect: `error` raises HostError
    (`injected-failure`), `kill` ends this very process with SIGKILL.

    Counted are commands and writes; a batch or gather is one. With `changing`, only those that can
    change the host. Every other call passes, those after the n-th too. `reached` says whether it came.
    """

    def __init__(
        self,
        inner: Runner,
        n: int,
        when: Literal["before", "after"] = "before",
        how: Literal["error", "kill"] = "error",
        *,
        changing: bool = False,
    ) -> None:
        """Fail at call `n`; 0 never fails."""
        super().__init__(inner)
        self._left, self._when, self._how, self._changing = n, when, how, changing
        self._counting = threading.Lock()
        self.reached = False

    def _call(self, call: Callable[[], T], *, changes: bool) -> T:
        if self._changing and not changes:
            return call()
        with self._counting:
            self._left -= 1
            now = self._left == 0
        if now and self._when == "before":
            self._fail()
        answer = call()
        if now:
            self._fail()
        return answer

    def _fail(self) -> None:
        self.reached = True
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        detail = f"This call was made to fail {self._when} its effect."
        raise HostError(Diagnostic("injected-failure", "A failure was injected", detail))
