"""Lines, words, INCLUDE and build arguments behave as observed from the original."""

from pathlib import Path
from typing import Any

import pytest

from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.lines import logical_lines
from reconciler.makejail.macros import expand_macros
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.tokens import TokenError, quoted_words, words
from reconciler.model.diagnostic import Span

from .cases import cases, flag, ids, lay_out, outcome


@pytest.mark.parametrize("case", cases("lines"), ids=ids("lines"))
def test_a_files_text_gives_the_observed_logical_lines(case: dict[str, Any]) -> None:
    assert [line.text for line in logical_lines(case["input"], "Makejail").lines] == case["logical"]


@pytest.mark.parametrize("case", cases("tokenizer"), ids=ids("tokenizer"))
def test_a_line_gives_the_observed_words_or_a_syntax_error(case: dict[str, Any]) -> None:
    if case["error"]:
        with pytest.raises(TokenError) as caught:
            words(case["input"])
        assert caught.value.status == 1
    else:
        assert (words(case["input"]), quoted_words(case["input"])) == (case["plain"], case["quoted"])


def _without_command_output(name: str) -> list[dict[str, Any]]:
    return [case for case in cases(name) if not case["id"].startswith("inc-cmd")]


@pytest.mark.parametrize("case", [case for case in cases("include") if case["id"] == "inc-cmd-method"])
def test_another_way_of_including_is_one_function(case: dict[str, Any], tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def output(rest: str, cwd: str, span: Span) -> str:
        assert (rest, cwd) == ('printf "RAW %s\\n" "a b" c', str(tmp_path / "folder"))
        (temporary / "file").write_text("RAW a b\nRAW c\n")
        return str(temporary / "file")

    folder = tmp_path / "folder"
    folder.mkdir()
    flat = flatten("Makejail", LocalFiles(), str(lay_out(case, folder)), methods={"cmd": output})
    shown = [line.text.replace(str(folder), "${DIR}").replace(str(temporary), "${TMP}") for line in flat.lines]
    assert [line.replace("/file", "/FILE") for line in shown] == case["flattened"]


def test_a_way_of_including_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "Makejail").write_text("INCLUDE gh+owner/repo\n")
    with pytest.raises(MakejailError) as caught:
        flatten("Makejail", LocalFiles(), str(tmp_path))
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.status) == ("include-method-unavailable", 69)
    assert found.span and found.span.line == 1 and "include it by its path" in found.hint


FLAT = _without_command_output("include") + cases("macros")


@pytest.mark.parametrize("case", FLAT, ids=[case["id"] for case in FLAT])
def test_includes_and_build_arguments_give_the_observed_text(case: dict[str, Any], tmp_path: Path) -> None:
    lay_out(case, tmp_path)
    args = case["args"]

    def read() -> tuple[list[str], str]:
        flat = flatten(case["entry"], LocalFiles(), str(tmp_path), before=flag(args, "-B"), after=flag(args, "-a"))
        return [line.text for line in expand_macros(flat, flag(args, "-b")).lines], flat.root

    status, found = outcome(read)
    assert status == case["status"]
    lines, root = found or (None, "")
    assert lines is None or [line.replace(str(tmp_path), "${DIR}") for line in lines] == case["flattened"]
    assert root.replace(str(tmp_path), "${DIR}") == case.get("rootdir", "")
