"""Instruction lines to steps, stage by stage, with ARG and OPTION taken out of the flow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from reconciler.makejail.instructions import instructions
from reconciler.makejail.later import moment
from reconciler.makejail.lines import blank
from reconciler.makejail.macros import Expanded
from reconciler.makejail.parse import parse_lines
from reconciler.makejail.problem import (
    DATA,
    MISSING,
    NOT_EXECUTABLE,
    UNAVAILABLE,
    MakejailError,
    Problems,
    problem,
)
from reconciler.makejail.quoting import DoubleQuoted, single
from reconciler.makejail.stages import APPLY, BUILD, by_hand
from reconciler.makejail.step import EnvWord, Line, State, Step
from reconciler.makejail.tokens import TokenError
from reconciler.model.diagnostic import Diagnostic, Span

BUILD_ONLY = frozenset({"FROM", "LOGIN", "OPTION", "RESTART", "START", "STOP"})
HOISTED = frozenset({"ARG", "FROM", "OPTION"})
_ELSEWHERE = {
    "LOGIN": "AppJail has it in the build stage alone; a spec takes it in the stages cmd, apply and custom:NAME.",
    "RESTART": "To run a service anew, use SERVICE; a stage that restarted its own jail would run again and again.",
}
# The original looks an instruction up as a program in a folder, and these are folders.
_FOLDERS = frozenset({".", ".."})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run adds to a Makejail: OPTION texts, RUN environment (NAME=VALUE words), whether
    only the apply stage counts, and FROM's default platform. `runnable` refuses what no build of
    ours can carry out. `later` is what RUN gets besides in stages after the build, by moment."""

    options: Sequence[str] = ()
    environment: Sequence[str] = ()
    apply: bool = False
    platform: str = "amd64"
    runnable: bool = False
    later: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Compiled:
    """The state and steps of every stage that has an instruction, in order of first entry."""

    stages: dict[str, State] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    globals: dict[str, list[str]] = field(default_factory=dict)


def compile_lines(expanded: Expanded, root: str, settings: Settings | None = None) -> Compiled:
    """Compile every line. Raises MakejailError with all problems; its status is the first one's."""
    settings = settings or Settings()
    problems = Problems()
    compiled = Compiled()
    target = APPLY if settings.apply else BUILD
    given = given_environment(settings.environment, problems, expand=not settings.runnable)

    def state_of(stage: str) -> State:
        if stage not in compiled.stages:
            words = given if stage == target else ()
            late = given_environment(settings.later.get(moment(stage), ()), problems)
            compiled.stages[stage] = State(given=words, late=late, globals=compiled.globals, platform=settings.platform)
        return compiled.stages[stage]

    if not settings.apply:
        state_of(BUILD)
    for line in parse_lines(expanded.lines, root, problems, apply=settings.apply):
        state = state_of(line.stage)
        compiled.lines.append((line.stage, line.name))
        try:
            step = _compile_line(line, state, runnable=settings.runnable)
        except MakejailError as error:
            problems.add(_at_word(error, line))
            continue
        if step is None and line.name not in HOISTED:
            step = Step(line.name, line.rest, line.span, silent=True)
        if step:
            state.steps.append(step)
    if not settings.apply:
        extra = [(DoubleQuoted.literal(text), Span("-o")) for text in settings.options]
        compiled.stages[BUILD].options.extend(extra)
    for state in compiled.stages.values():  # Only now, as CLEAR takes instructions back.
        compiled.warnings.extend(found for step in state.steps for found in step.warnings)
        if settings.runnable:
            _check_state(state, problems)
    problems.raise_any()
    return compiled


def compile_stages(expanded: Expanded, root: str, settings: Settings) -> Compiled:
    """`compile_lines`, and the apply stage as well, which the original compiles alone. Raises MakejailError."""
    compiled = compile_lines(expanded, root, settings)
    if not settings.apply and any(line.text == f"STAGE {APPLY}" for line in expanded.lines):
        own = compile_lines(expanded, root, replace(settings, apply=True))
        compiled.stages |= own.stages
        compiled.warnings += own.warnings
    return compiled


def _check_state(state: State, problems: Problems) -> None:
    """What no build of ours can carry out, and what breaks the quoting of its script."""
    for argument in state.arguments:
        if not argument.default.parses:
            problems.add(broken(f"ARG {argument.name}", argument.span))
    nested = {step.nested.name for step in state.steps if step.nested}
    for step in state.steps:
        if step.ends is None or step.ends not in nested:
            _check_runnable(step, problems)


def _at_word(error: MakejailError, line: Line) -> MakejailError:
    """A line that cannot be split into words is shown where the trouble begins."""
    if not isinstance(error, TokenError) or error.text != line.rest:
        return error
    span = line.at(error.offset)
    return MakejailError(tuple(replace(found, span=span) for found in error.diagnostics), error.status)


def given_environment(words: Sequence[str], problems: Problems, *, expand: bool = False) -> tuple[EnvWord, ...]:
    """The words that a run gives to RUN's environment; what is no NAME=VALUE with a value goes to `problems` (65).

    `expand`: `$x` in them expands as in ENV, which is what the original makes of -V; in a spec they mean themselves.
    """
    found = []
    for word in words:
        name, _, value = word.partition("=")
        if not _VARIABLE.match(name) or blank(value):
            detail = f"{word!r} is not NAME=VALUE with a value."
            problems.add(problem(DATA, "environment", "An environment word is not valid", detail))
        found.append(EnvWord(word, single(single(word))))
        if expand:
            with suppress(ValueError):
                found[-1] = EnvWord.expanding(name, value)
    return tuple(found)


def _compile_line(line: Line, state: State, *, runnable: bool) -> Step | None:
    known = instructions().get(line.name)
    here = runnable and line.name == "LOGIN" and by_hand(line.stage)
    if line.name in BUILD_ONLY and line.stage != BUILD and not here:
        raise problem(
            MISSING,
            "instruction-stage",
            "The instruction belongs to the build stage only",
            f"{line.name} stands in stage {line.stage}.",
            _ELSEWHERE.get(line.name, "Move it before the first STAGE line, or after STAGE build."),
            line.span,
        )
    if known:
        return known.compile(line, state)
    raise _unknown(line)


def _check_runnable(step: Step, problems: Problems) -> None:
    if step.unavailable:
        detail = f"{step.name} is understood, but a build here cannot carry it out."
        summary = "The instruction is not available"
        code = "instruction-unavailable"
        problems.add(problem(UNAVAILABLE, code, summary, detail, step.unavailable, step.span))
    elif not all(word.parses for word in step.words):
        problems.add(broken(step.name, step.span))


def broken(name: str, span: Span) -> MakejailError:
    """The error about an instruction whose own text breaks the quoting of the script."""
    detail = f"In {name} a ${{ is never closed, or a backslash stands before the closing quote."
    return problem(DATA, "quoting", "The text breaks its own quoting", detail, "Close it, or remove it.", span)


def _unknown(line: Line) -> MakejailError:
    word = line.name.partition("\t")[0]
    near = get_close_matches(word.upper(), sorted({*instructions(), "INCLUDE", "STAGE"}), n=1)
    hint = f"Did you mean {near[0]}?" if near else "Instructions are written in capital letters."
    if line.name == "INCLUDE":
        hint = "INCLUDE happens before build arguments are replaced; write it out."
    elif "\t" in line.name:
        hint = f"A tab does not separate; write a space after {word}."
    return problem(
        NOT_EXECUTABLE if line.name in _FOLDERS else MISSING,
        "unknown-instruction",
        "There is no such instruction",
        f"{line.name!r} is none.",
        hint,
        line.span,
    )
