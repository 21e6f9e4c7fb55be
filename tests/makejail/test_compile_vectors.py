"""Every instruction compiles to the operands, order and exit status observed from the original."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.makejail.compile import LANGUAGE, Compiled, Settings, compile_lines
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.instructions import instructions
from reconciler.makejail.macros import expand_macros
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Argument, State

from .cases import cases, flag, ids, lay_out, outcome


def _unavailable(case: dict[str, Any]) -> bool:
    """Whether the case needs an instruction of the language that is not there yet."""
    missing = LANGUAGE - set(instructions()) - {"INCLUDE", "STAGE"}
    lines = "\n".join(case["files"].values()).split("\n")
    return any(line.split(" ")[0] in missing for line in lines)


def _shown(value: object) -> object:
    if isinstance(value, DoubleQuoted):
        return value.notation
    if isinstance(value, tuple | list):
        return [_shown(item) for item in value]
    return value


def _argument(argument: Argument, arguments: list[Argument]) -> dict[str, object]:
    optional = all(other.optional for other in arguments if other.name == argument.name)
    return {"name": argument.name, "default": argument.default.notation, "optional": optional}


def _stage(name: str, state: State) -> list[dict[str, object]]:
    shown: list[dict[str, object]] = []
    if state.arguments:
        arguments = [_argument(argument, state.arguments) for argument in state.arguments]
        shown.append({"instruction": "ARG", "args": arguments})
    if name == "build":
        options = [word for word, _ in state.options]
        if all(word.parses for word in options):
            shown.append({"instruction": "OPTION", "create": "quick", "options": _shown(options)})
        else:
            shown.append({"instruction": "OPTION", "unparsable": True})
    for step in (step for step in state.steps if not step.silent):
        shown.append({"instruction": step.name, **{key: _shown(value) for key, value in step.operands.items()}})
    return shown


def compiled(case: dict[str, Any], folder: Path) -> Compiled:
    """Run the flow up to compile on a case."""
    args = case["args"]
    flat = flatten(case["entry"], LocalFiles(), str(lay_out(case, folder)))
    settings = Settings(flag(args, "-o"), flag(args, "-V"), "-A" in args)
    return compile_lines(expand_macros(flat), flat.root, settings)


AVAILABLE = [case for case in cases("compile") if not _unavailable(case)]


@pytest.mark.parametrize("case", AVAILABLE, ids=[case["id"] for case in AVAILABLE])
def test_a_makejail_compiles_to_the_observed_instructions(case: dict[str, Any], tmp_path: Path) -> None:
    status, result = outcome(lambda: compiled(case, tmp_path))
    assert status == case["status"]
    if not result:
        return
    assert [list(line) for line in result.lines] == case["compiled"]
    stages = {name: _stage(name, state) for name, state in result.stages.items()}
    shown = json.loads(json.dumps(stages).replace(str(tmp_path), "${DIR}"))
    assert shown == case["stages"]


UNAVAILABLE = [case for case in cases("compile") if _unavailable(case) and case["status"] == 0]


@pytest.mark.parametrize("case", UNAVAILABLE, ids=[case["id"] for case in UNAVAILABLE])
def test_an_instruction_that_is_not_there_yet_says_so_with_its_place(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MakejailError) as caught:
        compiled(case, tmp_path)
    assert {found.code for found in caught.value.diagnostics} == {"instruction-unavailable"}
    assert all(found.span and found.span.line and found.hint for found in caught.value.diagnostics)


def test_most_cases_of_the_vectors_are_covered() -> None:
    assert len(AVAILABLE) > len(ids("compile")) // 2
