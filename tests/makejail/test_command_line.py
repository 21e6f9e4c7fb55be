"""Every observed case comes out of the public command line: its facts, its exit status, its diagnostics."""

import json
import subprocess
import sys
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


SAMPLE = [case for case in cases("compile") if case["id"] in ("comp-from", "comp-from-twice", "comp-exec-all")]


@pytest.mark.parametrize("case", SAMPLE, ids=[case["id"] for case in SAMPLE])
def test_the_program_itself_answers_the_same(case: dict[str, Any], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "reconciler.cli.main", "makejail", "compile", case["entry"], *case["args"], "--json"]
    done = subprocess.run(argv, cwd=lay_out(case, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == case["status"]
    _same(json.loads(done.stdout), _expected(case, tmp_path, "status", "compiled", "stages"))


def test_a_failure_shows_its_place_through_includes_a_caret_and_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "Makejail").write_text("CMD a\nINCLUDE sub/b\n")
    (tmp_path / "sub/b").write_text("# why\n  PGK nginx\n")
    monkeypatch.chdir(tmp_path)
    assert main(["makejail", "compile", "Makejail"]) == 66
    assert capsys.readouterr().err == (
        "error[unknown-instruction]: There is no such instruction\n"
        "  --> sub/b:2:3\n"
        "  2 |   PGK nginx\n"
        "    |   ^\n"
        "  'PGK' is none.\n"
        "  Included from Makejail:2:1.\n"
        "  hint: Did you mean PKG?\n"
    )


def test_without_json_each_stage_prints_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Makejail").write_text("%{P:80}\nCMD echo \\\n  %{P}\n")
    monkeypatch.chdir(tmp_path)
    said = {}
    for stage in ("lines", "include", "macros", "parse", "compile"):
        assert main(["makejail", "compile", "Makejail", "--stop-after", stage, "--build-arg", "P=81"]) == 0
        said[stage] = capsys.readouterr().out
    assert said["lines"] == said["include"] == "%{P:80}\nCMD echo %{P}\n"
    assert said["macros"] == "CMD echo 81\n"
    assert said["parse"] == "Makejail:2:1: build: CMD echo 81\n"
    assert said["compile"] == 'build:\n  OPTION create="quick"\n  CMD target="jexec" workdir="/" sh="echo 81"\n'


def test_a_line_that_is_no_stage_of_the_language_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["makejail", "compile", "Makejail", "--stop-after", "nope"]) == 64
    assert "--stop-after takes one of lines" in capsys.readouterr().err


def test_a_file_is_formatted_in_place_only_when_asked(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "Makejail"
    file.write_bytes(b"  CMD a\n")
    assert main(["makejail", "format", str(file)]) == 0
    assert capfdbinary.readouterr().out == b"CMD a\n"
    assert main(["makejail", "format", "--check", str(file)]) == 1
    assert main(["makejail", "format", "--write", str(file)]) == 0
    assert (file.read_bytes(), main(["makejail", "format", "--check", str(file)])) == (b"CMD a\n", 0)
    assert main(["makejail", "format", str(tmp_path / "nothing")]) == 66


def test_lint_ends_with_1_where_it_finds_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Makejail").write_text("SET a=b=c\n")
    assert main(["makejail", "lint", str(tmp_path / "Makejail")]) == 1
    assert "warning[set-value-cut]" in capsys.readouterr().out
    assert main(["makejail", "lint", str(tmp_path / "Makejail"), "--json"]) == 1
    assert [one["code"] for one in json.loads(capsys.readouterr().out)["diagnostics"]] == ["set-value-cut"]
    (tmp_path / "Makejail").write_text("OPTION start\nCMD a\n")
    assert main(["makejail", "lint", str(tmp_path / "Makejail")]) == 0
