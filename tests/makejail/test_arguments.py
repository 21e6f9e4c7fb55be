"""ARG values come out as observed, and what is wrong with them is said all at once."""

from typing import Any

import pytest

from reconciler.makejail.arguments import apply_arguments, read_parameters
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import compile_text

from .cases import cases, ids, outcome


@pytest.mark.parametrize("case", cases("args"), ids=ids("args"))
def test_parameters_give_the_observed_values(case: dict[str, Any]) -> None:
    arguments = compile_text(case["makejail"]).arguments
    status, found = outcome(lambda: read_parameters(arguments, case["params"], case.get("env")))
    assert status == case["status"]
    values, rest = (dict(found.values), list(found.rest)) if found else (None, None)
    assert (values, rest) == (case["values"], case["rest"])


# Held against the original's own shell code.
ODD = [
    ("ARG a=1", ["--a", "x\n"], 0),
    ("ARG a=1", ["--a", "x\n\ny"], 0),
    ("ARG a=1", ["--a", "\n\n"], 0),
    ("ARG a=1", ["--a", "x\n \ny"], 65),
    ("ARG a=1", ["--a", "\v"], 65),
    ("ARG a=${NOPE:?bad}", ["--b", "1"], 1),
    ("ARG a=${NOPE:?bad}", ["--a", "1"], 1),
    ("ARG a=1", ["--a", "x", "--b"], 64),
]


@pytest.mark.parametrize(("line", "words", "status"), ODD)
def test_odd_values_are_taken_or_refused_as_observed(line: str, words: list[str], status: int) -> None:
    assert outcome(lambda: read_parameters(compile_text(f"{line}\n").arguments, words))[0] == status


def test_all_unknown_and_missing_arguments_are_reported_together() -> None:
    arguments = compile_text("ARG port\nARG host\n").arguments
    with pytest.raises(MakejailError) as caught:
        apply_arguments(arguments, {"prot": "80"})
    assert [found.code for found in caught.value.diagnostics].count("argument-missing") == 2
    assert any("Did you mean port?" in found.hint for found in caught.value.diagnostics)


@pytest.mark.parametrize(
    ("default", "value"),
    [("[$1][$#]", "[w][2]"), ("$*", "w x"), ("${2:-y}${3:-y}", "xy"), ("${#1}${#@}", "12"), ("$10", "w0")],
)
def test_a_default_sees_the_words_that_a_build_is_given(default: str, value: str) -> None:
    arguments = compile_text(f"ARG a?={default}\n").arguments
    found = read_parameters(arguments, ["w", "x"])
    assert (found.values, found.rest) == ({"a": value}, ("w", "x"))


def test_a_default_that_sets_another_argument_sets_it() -> None:
    arguments = compile_text("ARG a?\nARG b=${a:=x}\nARG c=$a${d=y}$d\n").arguments
    assert read_parameters(arguments, []).values == {"a": "x", "b": "x", "c": "xyy"}
    assert read_parameters(arguments, ["--a", "z"]).values == {"a": "z", "b": "x", "c": "xyy"}
