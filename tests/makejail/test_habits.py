"""Small habits of the language that the observed cases do not show, one row each."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import main
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.lines import logical_lines
from reconciler.makejail.remote import read_git_options

STATUSES = [
    ("INCLUDE x+\n", (), 66),  # Nothing after the +: a file of that name.
    ("INCLUDE cmd+\n", (), 66),
    ("INCLUDE git+ \n", (), 66),
    ("INCLUDE \t\n", (), 64),
    ("STAGE \u00a0\n", (), 66),  # Only white space of ASCII is blank.
    ("LABEL =a\n", (), 65),
    ("FROM a\nFROM --nothing b\n", (), 74),
    ("CMD --workdir ' ' ls\n", (), 64),
    ("COPY --jail\n", (), 64),
    ("COPY a ' '\n", (), 64),
    ("COPY a b ' '\n", (), 64),
    ("COPY a b c ' '\n", (), 0),
    ("COPY --verbose ' '\n", (), 64),
    ("ADD ' '\n", (), 64),
    ("MOUNT a ' '\n", (), 65),
    ("MOUNT --nro\n", (), 64),
    ("SET --row\n", (), 64),
    ("SET a \t\n", (), 64),
    ("FROM --platform amd64 ' '\n", (), 64),
    ("REPLACE ' ' k v\n", (), 64),
    ("REPLACE f ' ' v\n", (), 64),
    ("ENV X= \n", (), 65),
    ("EXEC --file f --name ' '\n", (), 64),
    ("VOLUME ' '\n", (), 64),
    (". x\n", (), 126),
    (".. x\n", (), 126),
    ("STAGE apply\na/b c\nWHAT\n", (), 0),  # Only makejail -A looks at the apply stage, and then at nothing else.
    ("a/b c\nWHAT\nSTAGE apply\nRAW x\n", ("-A",), 0),
    ("RAW x\n", ("-V", "A= "), 65),
    ("RAW x\n", ("-V", "A", "-f", "missing"), 65),
    *(("RAW x\n", (option, " "), 64) for option in ("-a", "-B", "-b", "-o", "-V")),
]


def _compiled(text: str, folder: Path, capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    (folder / "Makejail").write_text(text)
    file = args[args.index("-f") + 1] if "-f" in args else "Makejail"
    given = [word for at, word in enumerate(args) if "-f" not in args[max(at - 1, 0) : at + 1]]
    main(["makejail", "compile", file, *given, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("text", "args", "status"), STATUSES)
def test_a_makejail_is_refused_with_the_originals_status(
    text: str, args: tuple[str, ...], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compiled(text, tmp_path, capsys, *args)["status"] == status


FIELDS = [
    ("%{A:x} RAW y\n", "code", "RAW y"),  # The name is looked for after white space, the rest is not.
    ("\vRAW y\n", "code", "y"),
    ("LABEL  a=b\n", "key", "a"),
    ("CMD ' ' --local x\n", "target", "local"),
    ("CMD ' ' --local x\n", "sh", "x"),
    ("CMD '' --local x\n", "sh", "--local x"),  # Empty quotes are a word only where quotes are kept.
    ("COPY ' ' x\n", "src", "x"),
    ("PKG a ' ' b\n", "argv", ["install", "-y", "--", "a", "b"]),
    ("SERVICE a ' '\n", "argv", ["a", " "]),
    ("ENTRYPOINT a b\nRUN --juser\n", "argv", ["a", "b"]),
    ("VOLUME --owner 1 --group\n", "name", "--group"),
    ("DESTROY --force\n", "steps", None),
    ("REPLACE f k v ' '\n", "output", "«APPJAIL_JAILDIR»/f"),
    ("EXEC --file f --name n --arg 'a b=c' --arg =v\n", "params", ["--a", "b", "c", "--=v", "v"]),
    ("EXEC ' ' --file f --name n\n", "name", "n"),
    ("ENV A=$x$(z)\nRUN e\n", "env", ["A=«x»$(z)"]),  # One $( or \\$ in it, and the host expands the rest.
    ("ENV A=$x\\$\nRUN e\n", "env", ["A=«x»\\$"]),
    ("ENV A=\\$(z)\\$x\nRUN e\n", "env", ["A=\\$(z)$x"]),
]


@pytest.mark.parametrize(("text", "field", "value"), FIELDS)
def test_an_operand_is_what_the_original_makes_of_it(
    text: str, field: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _compiled(text, tmp_path, capsys)["stages"]["build"][-1]
    assert found[field] == value if value is not None else found[field]


def test_an_image_without_a_name_is_named_after_the_whole_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = _compiled("FROM --entrypoint none :x\n", tmp_path, capsys)["stages"]["build"]
    assert (made["image"], made["tag"]) == (":x", "x")


def test_nothing_in_an_option_of_the_command_line_expands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = _compiled("OPTION a=$x\n", tmp_path, capsys, "-o", "b=$x`y`")["stages"]["build"]
    assert made["options"] == ["a=«x»", "b=$x`y`"]


@pytest.mark.parametrize("text", ["OPTION a=\\`b", 'OPTION a=\\"b', "OPTION a=\\$(b", "LABEL a=${b", "MOUNT a ${b"])
def test_what_is_left_of_an_escape_breaks_the_quoting(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = _compiled(f"{text}\n", tmp_path, capsys)
    assert (answer["status"], answer["build_script_parses"]) == (0, False)
    assert any(step.get("unparsable") for step in answer["stages"]["build"])


def test_white_space_around_names_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").write_text("RAW a\nGLOBAL  :g: PKG a\n")
    answer = _compiled("INCLUDE  other\n%{N:1}\nRAW %{N}\n", tmp_path, capsys, "-b", " N=2")
    assert answer["globals"] == {":g:": [":g: PKG a"]}
    assert [step.get("code") for step in answer["stages"]["build"][1:]] == ["a", "2"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("RAW a \\\t\nb\n", ["RAW a b"]),
        ("RAW a \\ \t\v\nb\n", ["RAW a b"]),
        ("RAW a \\\\\t\nRAW b\n", ["RAW a \\", "RAW b"]),
        ("RAW a\0b\n\0\n", ["RAW ab"]),
    ],
)
def test_white_space_after_a_backslash_and_nul_do_not_count(text: str, lines: list[str]) -> None:
    assert [line.text for line in logical_lines(text, "Makejail").lines] == lines


def test_a_folder_is_escaped_where_it_is_entered(tmp_path: Path) -> None:
    folder = tmp_path / 'a$b"%{C}%{D:e}'
    folder.mkdir()
    (folder / "Makejail").write_text("STAGE build\n")
    shown = f'{tmp_path}/a\\$b\\"%%{{C}}%{{D:e}}'
    entered = [line.text for line in flatten(str(folder / "Makejail"), LocalFiles(), str(tmp_path)).lines]
    assert [line.partition(" #")[0] for line in entered] == [
        f'RAW cd -- "{shown}"',
        "STAGE build",
        f'RAW cd -- "{shown}"',
    ]
    stayed = [line.text for line in flatten("Makejail", LocalFiles(), str(folder)).lines]
    assert [line.partition(" #")[0] for line in stayed] == ["STAGE build", f'RAW cd -- "{folder}"']


def test_the_words_after_a_repository() -> None:
    assert read_git_options(["--baseurl", "b/", "--baseurl", "a/"]) == {"--baseurl": "a/b/"}
    assert read_git_options(["--", "--nothing", "--baseurl", "a/"]) == {}


def test_a_variable_in_the_environment_of_the_command_line_expands_as_in_env(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("-V", "A=$x", "-V", r"B=\$y $z", "-V", "C=${")
    (_made, run) = _compiled("RUN a\n", tmp_path, capsys, *given)["stages"]["build"]
    assert run["env"] == ["A=‹x›", "B=$y «z»", "C=${"]


HOSTILE = [
    ("RAW " + "\\" * 100_000 + "x", 0),
    ("RAW }" + "%{A:" * 50_000, 0),
    ("LABEL " + "a" * 64 + "!", 65),
    ("\n".join(f"%{{A{n}:1}}" for n in range(1000)) + "\nRAW x", 0),
]


@pytest.mark.parametrize(("text", "status"), HOSTILE, ids=["backslashes", "macros", "label", "definitions"])
def test_what_a_stranger_writes_takes_time_by_its_length_alone(
    text: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compiled(f"{text}\n", tmp_path, capsys)["status"] == status
