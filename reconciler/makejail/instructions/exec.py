"""EXEC … --file F --name N: builds another jail from a Makejail, or from the lines of a GLOBAL.

The other jail is built first, in layers of its own, and it is there while the segments run that name it: for
`COPY --jail N`, and for `appjail cmd jexec N` in host code. Each such segment finds it as its build left it, and is
built anew when it changes. It is there for the build alone, without network and without stages: a jail that is to run
needs a document of its own. It stands on the same release and level. In the build stage only.

- `--file F`: what an INCLUDE would take, or `:NAME:` of a GLOBAL that stands before.
- `--arg K=V`, `--build-arg K=V` (only the last one counts), `--option O`, `--before-include F`, `--after-include F`,
  `--continue-with-errors`, `--verbose`.

    EXEC --file builder.makejail --name builder --arg version=1.2
"""

from __future__ import annotations

from typing import Any

from reconciler.makejail.lines import blank, head
from reconciler.makejail.options import near
from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, Nested, State, Step, required
from reconciler.makejail.tokens import words

_USAGE = "Write EXEC --file MAKEJAIL --name JAIL."
_INSTEAD = "Move it to the build stage; or give the other jail a document of its own, and name it in depends_on."
_FLAGS = ("--continue-with-errors", "--verbose")
_VALUED = ("--after-include", "--before-include", "--arg", "--build-arg", "--file", "--name", "--option")


def _compile(line: Line, state: State) -> Step | None:
    given = _options(line)
    file, name = given["--file"][-1:], given["--name"][-1:]
    if not file or not name:
        raise problem(USAGE, "usage", "EXEC needs a file and a name", hint=_USAGE, span=line.span)
    params = [part for word in given["--arg"] for part in _parameter(word)]
    operands: dict[str, Any] = {
        "name": DoubleQuoted.host(name[0]),
        "file": _file(file[0], state),
        "after": tuple(_file(name, state) for name in given["--after-include"]),
        "before": tuple(_file(name, state) for name in given["--before-include"]),
        "options": _hosts(given["--option"] + given["repeated"]),
        "build_args": _hosts(given["--build-arg"][-1:]),
        "continue_with_errors": bool(given["--continue-with-errors"]),
        "verbose": bool(given["--verbose"]),
        "params": _hosts(params),
    }
    nested = Nested(
        operands["name"],
        operands["file"],
        line.cwd,
        operands["params"],
        operands["build_args"],
        operands["options"],
        operands["before"],
        operands["after"],
        line.span,
    )
    instead = "" if line.stage == BUILD else _INSTEAD
    return Step("EXEC", line.rest, line.span, operands, nested=nested, unavailable=instead)


def _options(line: Line) -> dict[str, list[str]]:
    """Read the options, up to the first other word; one that lacks its value is passed over."""
    left = words(required(line, _USAGE), line.span)
    given: dict[str, list[str]] = {option: [] for option in (*_FLAGS, *_VALUED, "repeated")}
    while left and (blank(left[0]) or (left[0].startswith("--") and left[0] != "--")):
        option, *left = left
        if blank(option):
            continue
        if option in _FLAGS:
            given[option].append("")
        elif option not in _VALUED:
            detail, hint = f"{option} is no option of EXEC.", near(option, {*_FLAGS, *_VALUED}) or _USAGE
            summary = "The instruction's options are not valid"
            raise problem(USAGE, "instruction-option", summary, detail, hint, line.span)
        elif left:
            given[option].append(_checked(left.pop(0), option, line))
            if option == "--build-arg":
                # The original collects it behind the options so far, and keeps only the last collection.
                given["repeated"] = list(given["--option"])
    return given


def _file(file: str, state: State) -> DoubleQuoted:
    """A GLOBAL counts only where it stands before; else the name is that of a file."""
    known = file in state.globals
    return DoubleQuoted.literal("${GLOBALS}/" + file) if known else DoubleQuoted.host(file)


def _checked(value: str, option: str, line: Line) -> str:
    if blank(value):
        summary, detail = "The instruction's options are not valid", f"The value of {option} is blank."
        raise problem(USAGE, "instruction-option", summary, detail, _USAGE, line.span)
    return value


def _parameter(word: str) -> tuple[str, ...]:
    """The words of one --arg: its name is not quoted in the original's script, so the shell splits it."""
    name, value = head(word, "=")
    return (*f"--{name}".split(" "), value)


def _hosts(texts: list[str]) -> tuple[DoubleQuoted, ...]:
    return tuple(map(DoubleQuoted.host, texts))


INSTRUCTION = Instruction("EXEC", _compile)
