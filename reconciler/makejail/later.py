"""Values that a Makejail keeps for stages after the build.

OPTION create_args, start_args, run_args and stop_args are parameters of those stages' ARGs, as `NAME=VALUE` words,
taken where a run gives none itself; start_env, run_env and stop_env are environment of their RUNs, before which
every ENV gives way. A start runs the create stages too. See appjail-quick(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.makejail.problem import DATA, MakejailError, Problems, problem
from reconciler.makejail.stages import CREATION
from reconciler.makejail.tokens import words
from reconciler.makejail.wishes import Given

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETERS = {"create_args": "create", "start_args": "start", "run_args": "run", "stop_args": "stop"}
_ENVIRONMENT = {"start_env": ("create", "start"), "run_env": ("run",), "stop_env": ("stop",)}


@dataclass(frozen=True, slots=True)
class Later:
    """By moment (create, start, run, stop): `parameters` as words for a script, `environment` as NAME=VALUE."""

    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def moment(stage: str) -> str:
    """When a stage runs: create, start, run or stop; itself for the build and apply."""
    if stage in CREATION:
        return "create"
    if stage.startswith("custom:") or stage in ("precmd", "cmd", "postcmd"):
        return "run"
    return next((name for name in ("start", "stop") if stage in (name, f"pre{name}", f"post{name}")), stage)


def kept(options: Iterable[Given], problems: Problems) -> Later:
    """What options keep for later stages. Words that are no NAME=VALUE go to `problems`, status 65."""
    parameters: dict[str, tuple[str, ...]] = {}
    environment: dict[str, tuple[str, ...]] = {}
    for option in options:
        if option.name in _PARAMETERS:
            given = (part for name, value in _pairs(option, problems, empty=True) for part in (f"--{name}", value))
            key = _PARAMETERS[option.name]
            parameters[key] = (*parameters.get(key, ()), *given)
        elif option.name in _ENVIRONMENT:
            each = [f"{name}={value}" for name, value in _pairs(option, problems, empty=False)]
            environment |= {key: (*environment.get(key, ()), *each) for key in _ENVIRONMENT[option.name]}
    return Later(parameters, environment)


def _pairs(option: Given, problems: Problems, *, empty: bool) -> list[tuple[str, str]]:
    found = []
    try:
        given = words(option.value or "", option.span)
    except MakejailError as error:
        problems.add(error)
        return []
    for word in given or [""]:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name) or not (value or empty):
            detail = f"OPTION {option.name}: {word!r} is not NAME=VALUE{'' if empty else ' with a value'}."
            problems.add(
                problem(
                    DATA, "environment", "An environment word is not valid", detail, "Write NAME=VALUE.", option.span
                )
            )
        else:
            found.append((name, value))
    return found
