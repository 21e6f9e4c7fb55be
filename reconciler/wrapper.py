"""The wrapper that changes nothing: what the wrappers of `wraps` start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from reconciler.model.command import Command, Completed, Runner

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
