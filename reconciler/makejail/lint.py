"""What a Makejail says legally and its author rarely means. Each rule is one function of `RULES`.

Most rules are about AppJail itself: what it does silently and a reader does not expect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconciler.makejail.blocks import Blocks
from reconciler.makejail.compile import Compiled
from reconciler.makejail.include import Flat, FlatLine, reached
from reconciler.makejail.macros import Expanded
from reconciler.makejail.parse import parse_lines
from reconciler.makejail.problem import Problems, warning
from reconciler.makejail.stages import BUILD, CREATION
from reconciler.makejail.step import Line
from reconciler.makejail.tokens import Token, tokenize, words
from reconciler.model.diagnostic import Diagnostic, Span

_STARTS = ("prestart", "start", "poststart", *CREATION)
_STATE = frozenset({"ARG", "CLEAR", "ENTRYPOINT", "ENV", "FROM", "GLOBAL", "OPTION", "USER", "WORKDIR"})
_TOKENIZED = frozenset({"ADD", "CMD", "COPY", "DESTROY", "DEVICE", "EXEC", "FROM", "MOUNT", "PKG", "REPLACE"})
_SPLIT = _TOKENIZED | {"RUN", "SERVICE", "SET", "SYSRC", "VAR", "VOLUME"}
_WITH_OPTIONS = _SPLIT - {"DEVICE", "REPLACE", "RUN"}
_HARMLESS = " ;&|)<>"
_ASSIGNED = re.compile(r"(?:^|[\s;&|(])([A-Za-z_][A-Za-z0-9_]*)=")


@dataclass(frozen=True, slots=True)
class Placed:
    """An instruction line with the text that it came from."""

    line: Line
    flat: FlatLine

    def at(self, offset: int) -> Span:
        """The place of the character `offset` of the arguments."""
        return self.line.at(offset)


@dataclass(frozen=True, slots=True)
class View:
    """What the rules look at."""

    lines: tuple[Placed, ...]
    stages: tuple[tuple[str, Span], ...]
    compiled: Compiled

    def of(self, *names: str) -> Iterator[Placed]:
        """The lines of these instructions."""
        return (one for one in self.lines if one.line.name in names)


Rule = Callable[[View], Iterator[Diagnostic]]


def lint(flat: Flat, expanded: Expanded, compiled: Compiled) -> tuple[Diagnostic, ...]:
    """Everything found in a Makejail that compiles, by place."""
    plain = [line for line in expanded.lines if not line.text.startswith("STAGE ")]
    parsed = parse_lines(expanded.lines, flat.root, Problems())
    lines = tuple(Placed(line, text) for line, text in zip(parsed, plain, strict=True) if not line.directory)
    stages = tuple(
        (line.text.removeprefix("STAGE "), line.line.span) for line in expanded.lines if line.text.startswith("STAGE ")
    )
    view = View(lines, stages, compiled)
    found = [*flat.warnings, *expanded.warnings, *(found for rule in RULES for found in rule(view))]
    return tuple(reached(one, flat.included) for one in sorted(set(found), key=Diagnostic.sort_key))


def stopped_jail(view: View) -> Iterator[Diagnostic]:
    """AppJail only warns when the jail does not run, and goes on as if all were well."""
    running = any(one.line.rest.strip() == "start" for one in view.of("OPTION"))
    for one in view.lines:
        line = one.line
        if line.stage == BUILD and line.name in ("START", "RESTART"):
            running = True
        elif line.stage == BUILD and line.name == "STOP":
            running = False
        elif _enters(line) and (line.stage in CREATION or (line.stage == BUILD and not running)):
            detail = f"The jail does not run here, and AppJail then skips {line.name} and reports success."
            hint = "Move it to a stage in which the jail runs." if line.stage in CREATION else "Write OPTION start."
            yield warning("stopped-jail", "An instruction needs a running jail", detail, hint, line.span)


def _enters(line: Line) -> bool:
    given = words(line.rest, line.span) if line.name in _SPLIT else []
    outside = any(word.startswith(("--local", "--chroot", "--jaildir")) for word in given[:1])
    return line.name in ("RUN", "WORKDIR") or (line.name in ("CMD", "PKG", "SERVICE", "SYSRC") and not outside)


def custom_stage_twice(view: View) -> Iterator[Diagnostic]:
    """The second definition of a custom stage is empty, and it is the one that counts."""
    seen: dict[str, Span] = {}
    for name, span in view.stages:
        if name.startswith("custom:") and name in seen and name in view.compiled.stages:
            detail = f"{name} was begun at {seen[name]}; under AppJail the second definition is empty and counts."
            hint = "Put all of the stage's instructions under one STAGE line."
            yield warning("stage-twice", "A custom stage is begun twice", detail, hint, span)
        seen.setdefault(name, span)


def _placed_words(one: Placed) -> Iterator[tuple[int, Token]]:
    """The words of the arguments, each with the offset at which it begins."""
    at = 0
    for token in tokenize(one.line.rest, one.line.span):
        start = one.line.rest.index(token.quoted, at)
        at = start + len(token.quoted)
        yield start, token


def glued_words(view: View) -> Iterator[Diagnostic]:
    """A closing quote ends its word: `"a"b` is two words."""
    for one in (one for one in view.lines if one.line.name in _SPLIT):
        rest = one.line.rest
        for start, token in _placed_words(one):
            at = start + len(token.quoted)
            following = rest[at : at + 1]
            if token.quoted[-1] in "\"'" and following and following not in _HARMLESS:
                detail = f"{token.quoted} ends a word, so what follows it is a word of its own."
                quoted = '"' + (token.plain + rest[at:].split(" ")[0]).replace('"', "") + '"'
                hint = f"Put the whole word in quotes: {quoted}"
                yield warning("words-glued", "A word goes on after its closing quote", detail, hint, one.at(start))


def ampersand(view: View) -> Iterator[Diagnostic]:
    """`&` in REPLACE's value means the text that was matched."""
    for one in view.of("REPLACE"):
        given = words(one.line.rest, one.line.span)
        if len(given) > 2 and "&" in given[2]:
            detail = f"In {given[2]!r} each & becomes the text that was found, and the character before it."
            hint = "Leave the & out; there is no way to write it."
            place = one.at(max(one.line.rest.find("&"), 0))
            yield warning("replace-ampersand", "A replacement holds an ampersand", detail, hint, place)


def dashes(view: View) -> Iterator[Diagnostic]:
    """`--` ends the options, and is the first operand itself."""
    for one in (one for one in view.lines if one.line.name in _WITH_OPTIONS):
        for start, token in _placed_words(one):
            if token.plain == "--":
                detail = f"{one.line.name} takes -- as its first operand."
                yield warning("operand-dashes", "Two dashes are an operand", detail, "Leave -- out.", one.at(start))
            if not token.plain.startswith("--") or token.plain == "--":
                break


def raw_around_state(view: View) -> Iterator[Diagnostic]:
    """What changes the compilation cannot be made conditional by a RAW block."""
    blocks: dict[str, Blocks] = {}
    for one in view.lines:
        line, block = one.line, blocks.setdefault(one.line.stage, Blocks())
        if line.name == "RAW":
            block.feed(line.rest)
            continue
        passes_on = line.name == "VAR" and "--make-arg-env" in line.rest.split(" ")
        if (line.name in _STATE or passes_on) and not block.closed and not block.held:
            detail = f"{line.name} takes effect when the Makejail is compiled, whichever way the RAW block goes."
            yield warning(
                "raw-around-state",
                "A RAW block does not guard the instruction",
                detail,
                f"Move {line.name} out of the block.",
                line.span,
            )
        block.feed(":")


def no_errexit(view: View) -> Iterator[Diagnostic]:
    """Only the build stops at the first error."""
    for stage, state in view.compiled.stages.items():
        steps = [step for step in state.steps if not step.silent]
        careful = any(step.raw and re.match(r"\s*set -[a-z]*e", step.text) for step in steps)
        if stage != BUILD and len(steps) > 1 and not careful:
            detail = f"In stage {stage} a failing instruction stops nothing; the last one's status counts."
            hint = "Begin the stage with RAW set -e, or end lines with || return 1."
            yield warning("no-errexit", "A stage goes on after errors", detail, hint, steps[0].span)


def set_value_cut(view: View) -> Iterator[Diagnostic]:
    """SET reads the text between the first and the second `=`."""
    for one in view.of("SET"):
        given = [word for word in words(one.line.rest, one.line.span) if not word.startswith("--")]
        text = " ".join(given)
        if text.count("=") > 1:
            name, value, _ = text.split("=", 2)
            detail = f"{text} sets {name} to {value}: the value ends at the second =."
            hint = "There is no way to give a value with = to SET."
            yield warning("set-value-cut", "A value is cut at its equals sign", detail, hint, one.line.span)


def before_option(view: View) -> Iterator[Diagnostic]:
    """OPTIONs are collected into the creation of the jail, which comes before every VAR and RAW."""
    build = view.compiled.stages.get(BUILD)
    if build is None:
        return
    arguments = {argument.name for argument in build.arguments}
    late = {step.names[0] for step in build.steps if step.name == "VAR" and step.names}
    late |= {name for step in build.steps if step.raw for name in _ASSIGNED.findall(step.text)}
    for word, span in build.options:
        for name in word.names:
            if name in late - arguments:
                detail = f"{name} gets its value after the jail is made: every OPTION comes before every VAR and RAW."
                hint = f"Make {name} an ARG."
                yield warning("option-too-early", "An OPTION reads a variable before it is set", detail, hint, span)


def default_uses_argument(view: View) -> Iterator[Diagnostic]:
    """Defaults are computed before any given value is read."""
    for state in view.compiled.stages.values():
        seen: set[str] = set()
        for argument in state.arguments:
            for name in argument.default.names:
                if name in seen:
                    detail = (
                        f"The default of {argument.name} holds the default of {name}, never the value given for it."
                    )
                    hint = f"Make the default empty (ARG {argument.name}?=) and set it with RAW where it is."
                    place = argument.span
                    yield warning("default-of-default", "A default uses another argument", detail, hint, place)
            seen.add(argument.name)


def start_not_run(view: View) -> Iterator[Diagnostic]:
    """The jail that `OPTION start` starts has no stages yet: they are installed when the build is done."""
    starts = any(one.line.rest.strip() == "start" for one in view.of("OPTION")) or any(view.of("START"))
    last = next((one.line.name for one in reversed(view.lines) if one.line.name in ("START", "STOP", "RESTART")), "")
    if not starts or last == "STOP":
        return
    for name in _STARTS:
        if state := view.compiled.stages.get(name):
            span = next((span for stage, span in view.stages if stage == name), None)
            detail = f"Stage {name} is installed only when the build is done, and the jail runs already then."
            hint = "End the build stage with STOP, so that the next start runs the stage."
            if state.steps:
                yield warning("start-not-run", "A stage does not run on the first start", detail, hint, span)


def done_otherwise(view: View) -> Iterator[Diagnostic]:
    """What AppJail does, and a spec refuses, skips or does for a while only: one who comes from there wants to know."""
    for state in view.compiled.stages.values():
        built = {step.nested.name for step in state.steps if step.nested}
        for step in state.steps:
            yield from (one for one in step.warnings if one.code.startswith("makejail-effect-"))
            if step.unavailable and (step.ends is None or step.ends not in built):
                detail = f"The spec of a jail cannot carry out {step.name} here."
                summary = "The instruction is not available"
                yield warning("instruction-unavailable", summary, detail, step.unavailable, step.span)


RULES: tuple[Rule, ...] = (
    stopped_jail,
    custom_stage_twice,
    glued_words,
    ampersand,
    dashes,
    raw_around_state,
    no_errexit,
    set_value_cut,
    before_option,
    default_uses_argument,
    start_not_run,
    done_otherwise,
)
