"""The linter finds what is legal and rarely meant, at its place, and nothing in a Makejail that means what it says."""

from pathlib import Path

import pytest

from reconciler.cli import pages
from reconciler.makejail.compile import compile_lines
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.lint import lint
from reconciler.makejail.macros import expand_macros

RUN = "OPTION start\n"


def found(folder: Path, text: str) -> list[tuple[str, int, int]]:
    """Code, line and column of everything that the linter finds."""
    (folder / "Makejail").write_text(text)
    flat = flatten("Makejail", LocalFiles(), str(folder))
    expanded = expand_macros(flat)
    diagnostics = lint(flat, expanded, compile_lines(expanded, flat.root))
    assert all(pages.page(one.code) and one.hint and one.severity == "warning" for one in diagnostics)
    return [(one.code, one.span.line, one.span.column) for one in diagnostics if one.span]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PKG nginx\n", ("stopped-jail", 1, 1)),
        (RUN + "STOP\nCMD a\n", ("stopped-jail", 3, 1)),
        ("STAGE create\nSYSRC a=b\n", ("stopped-jail", 2, 1)),
        (RUN + "RAW a", ("line-lost", 2, 1)),
        ("STAGE custom:x\nCMD a\nSTAGE build\nSTAGE custom:x\n", ("stage-twice", 4, 1)),
        (RUN + 'CMD echo "a"b\n', ("words-glued", 2, 10)),
        (RUN + "  SYSRC 'a'=b\n", ("words-glued", 2, 9)),
        (RUN + 'REPLACE f k "a&b"\n', ("replace-ampersand", 2, 15)),
        (RUN + "CMD --noclean -- ls\n", ("operand-dashes", 2, 15)),
        (RUN + "RAW if a; then\nENV A=1\nRAW fi\n", ("raw-around-state", 3, 1)),
        (RUN + "RAW if a; then\nVAR --make-arg-env v=1\nRAW fi\n", ("raw-around-state", 3, 1)),
        ("STAGE stop\nCMD a\nCMD b\n", ("no-errexit", 2, 1)),
        ("SET a=b=c\n", ("set-value-cut", 1, 1)),
        ("VAR v=1\nOPTION label=a:$v\n", ("option-too-early", 2, 1)),
        ("RAW v=1\nOPTION label=a:${v}\n", ("option-too-early", 2, 1)),
        ("ARG a=1\nARG b=$a\n", ("default-of-default", 2, 1)),
        (RUN + "STAGE start\nCMD a\n", ("start-not-run", 2, 1)),
        ("LOGIN\n", ("instruction-unavailable", 1, 1)),
        ("STAGE cmd\nEXEC --file f --name n\n", ("instruction-unavailable", 2, 1)),
        ("EXEC --file f --name n\nDESTROY n\nDESTROY m\n", ("instruction-unavailable", 3, 1)),
        ("STAGE start\nVOLUME v\n", ("makejail-effect-ignored", 2, 1)),
        ("STAGE cmd\nMOUNT /a b\n", ("makejail-effect-passing", 2, 1)),
    ],
)
def test_each_surprise_is_found_at_its_place(tmp_path: Path, text: str, expected: tuple[str, int, int]) -> None:
    assert found(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        RUN + "PKG nginx\nCMD echo 'x';ls\nRUN -- ls\nCMD echo \"a b\" c\n",
        RUN + "RAW if a; then\nCMD b\nVAR v=1\nRAW fi\nENV A=1\n",
        "ARG v=1\nOPTION label=a:$v-$APPJAIL_JAILNAME\n",
        RUN + "STOP\nSTAGE start\nRAW set -e\nCMD a\nCMD b\n",
        "START\nCMD a\nCMD --local b\n",
        "CMD --local a\nPKG --local b\nSYSRC --local c=d\n",
        "REPLACE f a&b c\nSET --row 1 a=b\n",
        "STAGE custom:x\nCMD a\nSTAGE custom:y\nCMD b\n",
        "MOUNT --nopersist /a b\nRESTART\nSTAGE start\nDEVICE path bpf unhide\nSTAGE cmd\nMOUNT --nopersist /a b\n",
    ],
)
def test_what_is_meant_is_not_warned_about(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


def test_a_place_in_an_included_file_says_how_it_was_reached(tmp_path: Path) -> None:
    (tmp_path / "Makejail").write_text("OPTION start\nINCLUDE sub/a\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a").write_text("INCLUDE b\n")
    (tmp_path / "sub/b").write_text("\nSET a=b=c\n")
    flat = flatten("Makejail", LocalFiles(), str(tmp_path))
    expanded = expand_macros(flat)
    (one,) = lint(flat, expanded, compile_lines(expanded, flat.root))
    assert str(one.span) == "sub/b:2:1"
    assert one.detail.endswith("Included from sub/a:1:1.\nIncluded from Makejail:2:1.")
