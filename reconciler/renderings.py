"""The files of jails as they were rendered before: an agent that is told of one changed spec renders one jail's anew.

Pure. What is remembered goes by everything that the files depend on, so an answer is the one that rendering would give.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from reconciler import runtime
from reconciler.kind import digest
from reconciler.kinds.config import of

Rendering = tuple[tuple[tuple[str, str], ...], Mapping[str, tuple[int, str]]]
"""The compared form of a jail's files (path, SHA256), and the files (mode, text)."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    key: str
    compared: tuple[tuple[str, str], ...]
    summary: runtime.Summary


@dataclass
class Renderings:
    """The last rendering of each jail that was asked for: a few kilobytes each."""

    _found: dict[str, _Earlier] = field(default_factory=dict)

    def of(self, asked: runtime.Runtime, spec: str) -> Rendering:
        """The files of a jail; `spec` is its document as text. Raises SpecError as `runtime.files`."""
        key = _key(asked, spec)
        earlier = self._found.get(asked.name)
        if earlier is None or earlier.key != key:
            compared, rendered = render(asked)
            earlier = self._found[asked.name] = _Earlier(key, compared, rendered.summary)
        return earlier.compared, runtime.Rendered(asked, earlier.summary)

    def keep(self, names: Container[str]) -> None:
        """Forget all jails but these."""
        for name in [name for name in self._found if name not in names]:
            del self._found[name]


def render(asked: runtime.Runtime) -> tuple[tuple[tuple[str, str], ...], runtime.Rendered]:
    """The files of a jail, made now. Raises SpecError as `runtime.files`."""
    made = runtime.files(asked)
    return of(made), runtime.Rendered.of(asked, made)


def _key(asked: runtime.Runtime, spec: str) -> str:
    """Everything that a Runtime holds; its jail as text."""
    stages = [word for pair in sorted(asked.stages.items()) for word in pair]
    host = (asked.pool, asked.mountpoint, asked.root, asked.hostid, asked.osrelease, asked.host_osrelease)
    external = "none" if asked.external is None else f"={asked.external}"
    return digest(spec, *host, external, str(asked.devfs_ruleset), *stages)
