"""Where the agent's configuration comes from: a file, the environment, flags; each rules over what stands before it.

    flags (--set web.listen=...)  >  RECONCILER_AGENT_WEB__LISTEN  >  agent.yaml  >  the defaults of `config.py`

A flag and a variable name a field by its path and hold YAML.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.agent.config import AgentConfig
from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.spec.fields import Model
from reconciler.spec.specset import Path_, Source, locate
from reconciler.spec.translate import About, explain
from reconciler.spec.yaml import parse

FILE = Path("/usr/local/etc/reconciler/agent.yaml")
PREFIX = "RECONCILER_AGENT_"
MAX_SIZE = 1024 * 1024


@dataclass
class _Layers:
    """The values from all places in one mapping, and where those that no file holds come from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)
    source: Source | None = None

    def put(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        at = self.values
        for part in path[:-1]:
            below = at.get(part)
            at[part] = at = dict(below) if isinstance(below, dict) else {}
        at[path[-1]] = value
        self.origins[path] = origin

    def place(self, path: Path_, *, key: bool = False) -> Span:
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return Span(self.origins[path[:length]])
        return locate(self.source, 0, path, key=key) if self.source is not None else Span("")

    def origin(self, path: Path_) -> str:
        """Where a field's value comes from: a flag, a variable, a place in the file, or default."""
        at: Any = self.values
        for part in path:
            if not (part in at if isinstance(at, dict) else isinstance(at, list | tuple) and isinstance(part, int)):
                return "default"
            at = at[part]
        return str(self.place(path))


@dataclass(frozen=True, slots=True)
class Setting:
    """One field by its path, such as `sources.0.url`; `origin` says who gave it its value."""

    name: str
    value: Any
    origin: str


def load_config(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> AgentConfig:
    """The configuration from all places. `file` must exist; without it the usual file counts where there is one.

    `flags` map a field's path, such as `web.listen`, to YAML. Raises SpecError with everything that is wrong.
    """
    return _load(file, environ, flags or {})[0]


def load_settings(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[AgentConfig, tuple[Setting, ...]]:
    """The configuration, and where each field of it comes from. Raises SpecError."""
    config, layers = _load(file, environ, flags)
    found = ((path, value) for path, value in _leaves(config, ()))
    return config, tuple(Setting(".".join(map(str, path)), value, layers.origin(path)) for path, value in found)


def _leaves(value: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    """Every field that holds no fields of its own."""
    below: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Model):
        below = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, tuple) and any(isinstance(one, Model) for one in value):
        below = list(enumerate(value))
    for name, one in below:
        yield from _leaves(one, (*path, name))
    if not below:
        yield path, value


def _load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> tuple[AgentConfig, _Layers]:
    layers = _Layers()
    problems: list[Diagnostic] = []
    used = file or Path(environ.get(f"{PREFIX}CONFIG", "") or FILE)
    if file is not None or used != FILE or used.exists():
        problems += _read(layers, used)
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG":
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            problems += _one(layers, path, text, f"environment {name}")
    for key, text in flags.items():
        problems += _one(layers, tuple(key.split(".")), text, f"--set {key}")
    if not problems:
        try:
            return AgentConfig.model_validate(layers.values), layers
        except ValidationError as error:
            problems += explain(error, layers.values, About("Agent", AgentConfig, layers.place))
    raise SpecError(problems)


def _read(layers: _Layers, file: Path) -> Sequence[Diagnostic]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except OSError as error:
        hint = "Name the file with --config FILE, or write it: see docs/agent.md."
        detail = f"{file}: {error.strerror}."
        return [Diagnostic("config-unreadable", "The configuration cannot be read", detail, hint, Span(str(file)))]
    parsed = parse(data[:MAX_SIZE], str(file))
    if parsed.diagnostics:
        return parsed.diagnostics
    layers.source = Source(str(file), str(file.absolute()), data, hashlib.sha256(data).hexdigest())
    value = parsed.values[0] if parsed.values else {}
    if len(data) > MAX_SIZE or len(parsed.values) > 1 or not isinstance(value, dict):
        detail = f"{file} holds something else than one mapping of at most {MAX_SIZE} bytes."
        return [Diagnostic("config-unreadable", "The configuration cannot be read", detail, "", Span(str(file), 1, 1))]
    layers.values = dict(value)
    return []


def _one(layers: _Layers, path: tuple[str, ...], text: str, origin: str) -> Sequence[Diagnostic]:
    parsed = parse(text.encode(), origin)
    if parsed.diagnostics:
        return parsed.diagnostics
    layers.put(path, parsed.values[0] if parsed.values else None, origin)
    return []
