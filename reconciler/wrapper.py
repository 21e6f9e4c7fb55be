"""The wrapper that changes nothing: what the wrappers of `wraps` start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from reconciler.model.command import Command, Completed, Runner
from reconciler.readonly import is_read_only

T = TypeVar("T")

Trees = Mapping[str, Mapping[str, bytes]]
"""Files by their path below a folder, by folder."""


class Wrapper(Runner):
    """Passes everything on; a wrapper overrides what it cares about."""

    def __init__(self, inner: Runner) -> None:
        """Wrap a runner, wrapped or not."""
        self.inner = inner

    def run(self, command: Command) -> Completed:
        """See Runner."""
        return self.inner.run(command)

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """See Runner."""
        return self.inner.batch(commands)

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """See Runner."""
        return self.inner.gather(commands, trees)

    def _gathered(
        self,
        commands: Sequence[Command],
        trees: Sequence[str],
        through: Callable[[Sequence[Command], Callable[[], list[Completed]]], list[Completed]],
    ) -> tuple[list[Completed], Trees]:
        """Gather, the commands led through what the wrapper does with a list of them."""
        found: list[Trees] = []

        def inner() -> list[Completed]:
            done, files = self.inner.gather(commands, trees)
            found.append(files)
            return done

        return through(commands, inner), found[0]

    def read(self, path: str) -> bytes | None:
        """See Runner."""
        return self.inner.read(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """See Runner."""
        self.inner.write(path, data, mode)

    def tree(self, path: str) -> dict[str, bytes]:
        """See Runner."""
        return self.inner.tree(path)

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """See Runner."""
        return self.inner.lock(path, holder)


class EveryCall(Wrapper):
    """Leads commands and writes through `_call`; a batch or gather is one call."""

    def _call(self, call: Callable[[], T], *, changes: bool) -> T:
        """Make the call, or not; `changes` says whether it could change the host."""
        return call()

    def run(self, command: Command) -> Completed:
        """See Runner."""
        return self._call(lambda: self.inner.run(command), changes=not is_read_only(command.argv))

    def batch(self, commands: Sequence[Command]) -> list[Completed]:
        """See Runner."""
        return self._call(lambda: self.inner.batch(commands), changes=False)

    def gather(self, commands: Sequence[Command], trees: Sequence[str]) -> tuple[list[Completed], Trees]:
        """See Runner."""
        return self._call(lambda: self.inner.gather(commands, trees), changes=False)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """See Runner."""
        self._call(lambda: self.inner.write(path, data, mode), changes=True)
