"""Every observed case comes out of the public command line: its facts, its exit status, its diagnostics."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import main

from .cases import cases, ids, lay_out


def _expected(case: dict[str, Any], folder: Path, *names: str) -> dict[str, Any]:
    """The named fields of a case, with real paths."""
    found = {name: case[name] for name in names if name in case}
    shown: dict[str, Any] = json.loads(json.dumps(found).replace("${DIR}", str(folder)))
    return shown


def _answer(capsys: pytest.CaptureFixture[str], argv: list[str]) -> dict[str, Any]:
    """Run a command line with --json: its answer, whose status is the exit status, and its diagnostics."""
    status = main(["makejail", *argv])
    out, err = capsys.readouterr()
    answer: dict[str, Any] = json.loads(out)
    assert answer["status"] == status
    if status:
        assert "[" in err and "hint: " in err
    return answer


def _same(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {name: answer.get(name) for name in expected} == expected


@pytest.mark.parametrize("case", cases("compile"), ids=ids("compile"))
def test_compile_says_what_every_stage_executes(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(lay_out(case, tmp_path))
    answer = _answer(capsys, ["compile", case["entry"], *case["args"], "--json"])
    names = set(case) - {"id", "files", "entry", "args", "note"}
    _same(answer, _expected(case, tmp_path, *names))
    assert ("globals" in answer, "stage_defined_twice" in answer) == ("globals" in case, "stage_defined_twice" in case)


@pytest.mark.parametrize(
    ("stage", "case"),
    [(stage, case) for stage in ("include", "macros") for case in cases(stage)],
    ids=ids("include") + ids("macros"),
)
def test_the_text_after_include_and_macros_is_the_observed_one(
    stage: str,
    case: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(lay_out(case, tmp_path))
    answer = _answer(capsys, ["compile", case["entry"], *case["args"], "--stop-after", "macros", "--json"])
    _same(answer, _expected(case, tmp_path, "status", "flattened", "rootdir"))


@pytest.mark.parametrize("case", cases("lines"), ids=ids("lines"))
def test_a_file_becomes_the_observed_logical_lines(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Makejail").write_bytes(case["input"].encode())
    answer = _answer(capsys, ["compile", str(tmp_path / "Makejail"), "--stop-after=lines", "--json"])
    _same(answer, {"logical": case["logical"], "status": case["status"]})


@pytest.mark.parametrize("case", cases("tokenizer"), ids=ids("tokenizer"))
def test_a_line_becomes_the_observed_words(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = _answer(capsys, ["tokens", "--json", "--", case["input"]])
    _same(answer, {name: case[name] for name in ("plain", "quoted", "error")})


@pytest.mark.parametrize("case", cases("args"), ids=ids("args"))
def test_parameters_give_the_observed_values(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Makejail").write_text(case["makejail"])
    for name, value in case.get("env", {}).items():
        monkeypatch.setenv(name, value)
    answer = _answer(capsys, ["args", str(tmp_path / "Makejail"), "--json", "--", *case["params"]])
    _same(answer, {name: case[name] for name in ("status", "values", "rest")})
