"""What a compiled Makejail does, as plain values: for `--json`, for tests, for people.

Notation: `«x»` is the value that the host's variable x has when the instruction runs, `‹x›` the value
that x has in the jail's shell (only in RUN's `env`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.makejail.arguments import merged
from reconciler.makejail.blocks import Blocks
from reconciler.makejail.compile import Compiled
from reconciler.makejail.include import FlatLine
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.script import body
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Argument, State, Step

Facts = dict[str, object]


def stage_facts(name: str, state: State) -> list[Facts]:
    """What a stage executes, in the order of execution."""
    found: list[Facts] = []
    if state.arguments:
        found.append(_checked("ARG", {"args": [_argument(argument) for argument in merged(state.arguments)]}))
    found += [_step(step) for step in state.imports]
    if name == BUILD:
        found.append(_creation(state))
    return found + [_step(step) for step in state.steps if not step.silent]


def defined_twice(lines: Sequence[FlatLine], compiled: Compiled) -> list[str]:
    """The custom stages that are entered twice: under AppJail the second, empty definition wins."""
    entered = Counter(line.text.removeprefix("STAGE ") for line in lines if line.text.startswith("STAGE custom:"))
    return [name for name, times in entered.items() if times > 1 and name in compiled.stages]


def has_own_code(state: State) -> bool:
    """Whether a script of this stage may not parse: it holds RAW code, or a word that breaks its quoting."""
    words = [word for word, _ in state.options] + [argument.default for argument in state.arguments]
    steps = [*state.imports, *state.steps]
    words += [word for step in steps for word in step.words]
    return any(step.raw for step in steps) or not all(word.parses for word in words)


def build_check(state: State) -> str:
    """A script for `sh -n`: it parses when the build stage does."""
    words = [argument.default for argument in state.arguments] + [word for word, _ in state.options]
    quoted = "".join(f': "{word.source}"\n' for word in words)
    return quoted + body([_spoken(step) for step in (*state.imports, *state.steps)], Blocks())


def init_check(stages: Mapping[str, State]) -> str:
    """A script for `sh -n`: it parses when every stage but build does."""
    found = []
    for number, (name, state) in enumerate(stages.items()):
        if name != BUILD:
            quoted = "".join(f': "{argument.default.source}"\n' for argument in state.arguments)
            steps = [_spoken(step) for step in state.steps]
            found.append(f"stage_{number}() {{\n:\n{quoted}{body(steps, Blocks())}}}\n")
    return "".join(found)


def _spoken(step: Step) -> Step:
    """What is no command here is one in the original's script, with the same words."""
    said = "\n".join(f': "{word.source}"' for word in step.words)
    return step if step.script or step.raw or not said else replace(step, script=said)


def _argument(argument: Argument) -> Facts:
    return {"name": argument.name, "default": argument.default, "optional": argument.optional}


def _creation(state: State) -> Facts:
    options = [word for word, _ in state.options]
    if state.image is None:
        return _checked("OPTION", {"create": "quick", "options": options})
    image = state.image
    named = {"platform": image.platform, "image": image.name, "tag": image.tag}
    return _checked("OPTION", {"create": "image", **named, "options": options})


def _step(step: Step) -> Facts:
    return _checked(step.name, step.operands)


def _checked(name: str, operands: Mapping[str, object]) -> Facts:
    try:
        return {"instruction": name, **{key: _shown(value) for key, value in operands.items()}}
    except ValueError:
        return {"instruction": name, "unparsable": True}


def _shown(value: object) -> object:
    """A plain value. Raises ValueError for a word that breaks its own quoting."""
    if isinstance(value, DoubleQuoted):
        return value.notation
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_shown(item) for item in value]
    return value
