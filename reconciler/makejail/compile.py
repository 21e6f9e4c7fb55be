"""Instruction lines to steps, stage by stage, with ARG and OPTION taken out of the flow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from reconciler.makejail.instructions import instructions
from reconciler.makejail.macros import Expanded
from reconciler.makejail.parse import parse_lines
from reconciler.makejail.problem import (
    DATA,
    MISSING,
    UNAVAILABLE,
    MakejailError,
    Problems,
    problem,
)
from reconciler.makejail.quoting import DoubleQuoted, single
from reconciler.makejail.stages import APPLY, BUILD
from reconciler.makejail.step import EnvWord, Line, State, Step
from reconciler.model.diagnostic import Diagnostic, Span

LANGUAGE = frozenset(
    [
        "ADD",
        "ARG",
        "CLEAR",
        "CMD",
        "COPY",
        "DESTROY",
        "DEVICE",
        "ENTRYPOINT",
        "ENV",
        "EXEC",
        "FROM",
        "GLOBAL",
        "INCLUDE",
        "LABEL",
        "LOGIN",
        "MOUNT",
        "OPTION",
        "PKG",
        "RAW",
        "REPLACE",
        "RESTART",
        "RUN",
        "SERVICE",
        "SET",
        "STAGE",
        "START",
        "STOP",
        "SYSRC",
        "UMOUNT",
        "USER",
        "VAR",
        "VOLUME",
        "WORKDIR",
    ]
)
BUILD_ONLY = frozenset({"FROM", "LOGIN", "OPTION", "RESTART", "START", "STOP"})
HOISTED = frozenset({"ARG", "OPTION"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run adds to a Makejail: OPTION texts, RUN environment (NAME=VALUE words), and
    whether only the apply stage counts."""

    options: Sequence[str] = ()
    environment: Sequence[str] = ()
    apply: bool = False


@dataclass(slots=True)
class Compiled:
    """The state and steps of every stage that has an instruction, in order of first entry."""

    stages: dict[str, State] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def compile_lines(expanded: Expanded, root: str, settings: Settings | None = None) -> Compiled:
    """Compile every line. Raises MakejailError with all problems; its status is the first one's."""
    settings = settings or Settings()
    problems = Problems()
    compiled = Compiled()
    target = APPLY if settings.apply else BUILD
    given = _given(settings.environment, problems)
    if not settings.apply:
        compiled.stages[BUILD] = State(given=given)
    for line in parse_lines(expanded.lines, root, problems):
        if (line.stage == APPLY) != settings.apply:
            continue
        state = compiled.stages.setdefault(line.stage, State(given=given if line.stage == target else ()))
        compiled.lines.append((line.stage, line.name))
        try:
            step = _compile_line(line, state)
        except MakejailError as error:
            problems.add(error)
            continue
        if step is None and line.name not in HOISTED:
            step = Step(line.name, line.rest, line.span, silent=True)
        if step:
            state.steps.append(step)
            compiled.warnings.extend(step.warnings)
    if not settings.apply:
        extra = [(DoubleQuoted.host(text), Span("-o")) for text in settings.options]
        compiled.stages[BUILD].options.extend(extra)
    problems.raise_any()
    return compiled


def _given(words: Sequence[str], problems: Problems) -> tuple[EnvWord, ...]:
    found = []
    for word in words:
        name, _, value = word.partition("=")
        if not _VARIABLE.match(name) or not value:
            detail = f"{word!r} is not NAME=VALUE with a value."
            problems.add(problem(DATA, "environment", "An environment word is not valid", detail))
        found.append(EnvWord(word, single(single(word))))
    return tuple(found)


def _compile_line(line: Line, state: State) -> Step | None:
    known = instructions().get(line.name)
    if line.name in BUILD_ONLY and line.stage != BUILD:
        raise problem(
            MISSING,
            "instruction-stage",
            "The instruction belongs to the build stage only",
            f"{line.name} stands in stage {line.stage}.",
            "Move it before the first STAGE line, or after STAGE build.",
            line.span,
        )
    if known:
        return known.compile(line, state)
    if line.name in LANGUAGE - {"INCLUDE"}:
        raise problem(
            UNAVAILABLE,
            "instruction-unavailable",
            "The instruction is not available",
            f"{line.name} belongs to the language, but cannot be built yet.",
            f"Available are {', '.join(sorted(instructions()))}.",
            line.span,
        )
    raise _unknown(line)


def _unknown(line: Line) -> MakejailError:
    word = line.name.partition("\t")[0]
    near = get_close_matches(word.upper(), sorted(LANGUAGE), n=1)
    hint = f"Did you mean {near[0]}?" if near else "Instructions are written in capital letters."
    if line.name == "INCLUDE":
        hint = "INCLUDE happens before build arguments are replaced; write it out."
    elif "\t" in line.name:
        hint = f"A tab does not separate; write a space after {word}."
    return problem(
        MISSING,
        "unknown-instruction",
        "There is no such instruction",
        f"{line.name!r} is none.",
        hint,
        line.span,
    )
