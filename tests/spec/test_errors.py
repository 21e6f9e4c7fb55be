"""Wrong specs, each with what is reported where. The first comment of a case lists `code@line:column`."""

import re
from pathlib import Path

import pytest

from reconciler.cli.show import file_lines, render
from reconciler.spec.load import examine

CASES = Path(__file__).parents[1] / "tables" / "spec_errors"


def expected(path):
    """The `code@line:column` words of the comments that begin `# expect:`."""
    words = re.findall(r"^# expect:(.*)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return " ".join(words).split()


def found(path):
    """What is reported of a file, in the same form; warnings begin with a `~`."""
    _, problems = examine(path)
    return [
        f"{'~' * (problem.severity == 'warning')}{problem.code}@{problem.span.line}:{problem.span.column}"
        for problem in problems
    ]


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_wrong_spec_is_reported_at_its_place(path):
    assert found(path) == expected(path)


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_report_has_words_and_can_be_shown(path):
    for problem in examine(path)[1]:
        assert problem.summary and problem.detail.endswith((".", "`"))
        text = render(problem, file_lines)
        assert str(path) in text and all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('healthcheck: {command: "curl -f http://localhost/"}', 'Write a list: command: [curl, -f, "http://'),
        ("healthcheck: {command: sh -c 'true && test -e /x'}", 'Write a list: command: [sh, -c, "true && test -e /x"]'),
        ("healthcheck: {command: test true}", 'Write a list: command: [test, "true"]'),
        ("makejail: a.makejail", "Write `makejail:` and its keys below it, indented. Its keys are: file, "),
    ],
)  # fmt: skip
def test_a_hint_can_be_typed_as_it_stands(tmp_path, line, hint):
    (tmp_path / "a.yaml").write_text(f"kind: Jail\nname: a\nrelease: 15.1-RELEASE\n{line}\n")
    (problem,) = examine(tmp_path)[1]
    assert problem.hint.startswith(hint)


def test_a_key_that_is_missing_is_told_with_what_belongs_below_it(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: Host\nname: a\n")
    hints = [problem.hint for problem in examine(tmp_path)[1]]
    assert any("`match: ...`" in hint and "hostname, labels" in hint for hint in hints)
