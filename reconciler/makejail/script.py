"""Renders steps as scripts that stand alone: one per build segment, one per other stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.makejail import shell, shell_moments
from reconciler.makejail.arguments import merged
from reconciler.makejail.blocks import Blocks
from reconciler.makejail.quoting import single
from reconciler.makejail.stages import CREATION
from reconciler.makejail.step import Argument, Step

_ENDS = ("fi", "else", "elif", "done", "}")
_BEGINS = ("then", "do", "else", "{")
MARK = 'echo %d >|"${RECONCILER_AT:-/dev/null}" || :'
"""Says which instruction of the segment begins; written, not trapped, so that it is known after a kill as well."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every script of one stage shares. `parameters` are its words where it is given none."""

    arguments: Sequence[Argument]
    values: Mapping[str, str]
    needs_context: bool
    parameters: Sequence[str] = ()


def body(steps: Sequence[Step], blocks: Blocks, *, marked: bool = False) -> str:
    """Write the steps one after the other, each under a comment with its place where one may stand.

    `marked`: the number of each step (from 0) is written to $RECONCILER_AT where a command may stand.
    """
    lines: list[str] = []
    for at, step in enumerate(steps):
        if blocks.between_commands:
            lines.append(f"# {step.span} {step.name}".replace("\n", " "))
            if marked and step.script and _may_mark(steps[at - 1] if at else None, step, blocks):
                lines.append(MARK % at)
        code = step.script
        if not code and blocks.between_commands and not step.raw:
            code = ":" if not blocks.closed else ""
        if code or step.raw:
            lines.append(code)
            (blocks.feed if step.raw else blocks.feed_command)(code)
        following = steps[at + 1] if at + 1 < len(steps) else None
        if blocks.empty_body and following and following.raw and _ends_block(following.script):
            # FreeBSD's sh takes an empty body, other shells do not.
            lines.append(":")
            blocks.feed(":")
    return "\n".join(lines) + "\n"


def _may_mark(before: Step | None, step: Step, blocks: Blocks) -> bool:
    """Whether a command of ours changes nothing: between whole commands, and nobody asks how the last one ended."""
    if "$?" in step.script:
        return False
    if blocks.closed:
        return True
    if step.raw or before is None:
        return False  # it may close or go on with what is open
    return not before.raw or before.script.split()[-1:] in [[word] for word in _BEGINS]


def _ends_block(code: str) -> bool:
    return code.split(maxsplit=1)[:1] != [] and code.split(maxsplit=1)[0].rstrip(";") in _ENDS


def segment_script(number: int, code: str, functions: Sequence[str], context: Context) -> str:
    """Write the script of the build segment `number` (from 1) whose steps are `code`."""
    parts = [f"#!/bin/sh\n# Build segment {number}; the shell's state crosses in $RECONCILER_ENV.\nset -e\n"]
    parts.append(shell.QUOTE)
    parts += _helpers(code + "".join(functions))
    names = " ".join(argument.name for argument in merged(context.arguments))
    inherited = "$(awk 'BEGIN { for (name in ENVIRON) print name }')"
    parts.append(f'reconciler_given="{inherited} {names}"\n')
    parts += _arguments(context)
    parts.append(shell.GIVEN)
    parts.append(shell.SAVE.replace("@FOLDER@", shell.FOLDER if context.needs_context else ""))
    if context.needs_context:
        parts.append('cd -- "$RECONCILER_CONTEXT"\n')
    parts += [f"{function}\n" for function in functions]
    parts.append(shell.RESTORE)
    parts.append(code)
    parts.append('reconciler_save "$@"\n')
    return "\n".join(parts)


def stage_script(stage: str, steps: Sequence[Step], context: Context) -> str:
    """Write the script of a stage other than build; its words are `--name value` pairs.

    It does not stop at the first error; its status is that of its last command.
    """
    # An instruction is fenced only between whole commands, so the fences are put in first.
    fenced = [_fence(step) if stage in CREATION else step for step in steps]
    code = body(fenced, Blocks())
    parts = [f"#!/bin/sh\n# Stage {stage}.\n"]
    if "reconciler_quote" in code:
        parts.append(shell.QUOTE)
    parts += _helpers(code)
    parts += _arguments(context, read=True)
    if context.needs_context:
        parts.append('if [ -d "${RECONCILER_CONTEXT:-}" ]; then\n    cd -- "$RECONCILER_CONTEXT"\nfi\n')
    parts.append(code)
    return "\n".join(parts)


def _fence(step: Step) -> Step:
    """A jail that is being created does not run yet: what enters it warns and succeeds."""
    if not step.inside:
        return step
    message = single(f"{step.span}: {step.name} is skipped, the jail is not running")
    running = 'jls -j "$RECONCILER_JAIL" jid >/dev/null 2>&1'
    script = f"if {running}; then\n{step.script}\nelse\necho {message} >&2\nfi"
    return Step(step.name, step.text, step.span, step.operands, script, step.names, inside=True)


def _helpers(code: str) -> list[str]:
    needed = []
    if "reconciler_add" in code:
        needed.append(shell.ADD)
    if "reconciler_replace" in code:
        needed.append(shell.REPLACE)
    if "reconciler_copy" in code:
        needed.append(shell.COPY)
    if "reconciler_copy_from_jail" in code:
        needed.append(shell.COPY_FROM_JAIL)
    return needed + shell_moments.needed(code)


def _arguments(context: Context, read: bool = False) -> list[str]:
    if not context.arguments:
        return []
    lines = ["# Arguments: all defaults first, then the values given."]
    lines += [f"{argument.name}={argument.default.sh}" for argument in context.arguments]
    lines += [f"{name}={single(value)}" for name, value in context.values.items()]
    parts = ["\n".join(lines) + "\n"]
    if read and context.parameters:
        parts.append(f"[ $# -gt 0 ] || set -- {' '.join(single(word) for word in context.parameters)}\n")
    if read:
        cases = "".join(
            f"        --{a.name})\n            {a.name}=${{2-}}\n"
            "            shift\n            [ $# -eq 0 ] || shift\n            ;;\n"
            for a in merged(context.arguments)
        )
        parts.append("while [ $# -gt 0 ]; do\n    case $1 in\n" + cases + shell.PARSE_END)
    wanted = [argument for argument in merged(context.arguments) if not argument.optional]
    if wanted:
        parts.append(shell.REQUIRE)
        parts.append("".join(f'reconciler_require {a.name} "${a.name}"\n' for a in wanted))
    return parts
