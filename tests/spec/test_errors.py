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
