"""Each OPTION is the document's, so in any case, not available, or refused; and says so."""

import pytest

from reconciler.effective.network import OPTIONS
from reconciler.effective.option import READERS
from reconciler.makejail.program import compile_text
from reconciler.makejail.wishes import TABLE, Meaning, wishes


def said(text: str) -> list[tuple[str, str, int]]:
    """What is said of the options of a Makejail: severity, code, line."""
    _found, diagnostics = wishes(compile_text(text).options)
    return [(one.severity, one.code, one.span.line if one.span else 0) for one in diagnostics]


def test_an_option_of_the_document_or_that_is_so_in_any_case_says_nothing() -> None:
    assert said("OPTION start\nOPTION overwrite=force\nOPTION type=thin\nOPTION osversion=15.1-RELEASE\n") == []


@pytest.mark.parametrize(
    ("line", "code", "severity"),
    [
        ("OPTION from=nginx:latest", "option-refused", "error"),
        ("OPTION container=boot", "option-refused", "error"),
        ("OPTION brandelf=a", "option-unavailable", "warning"),
        ("OPTION type=linux+debootstrap", "option-refused", "error"),
        ("OPTION virtaulnet=:x", "option-unknown", "warning"),
        ('OPTION label="a', "tokenizer", "error"),
    ],
)
def test_every_other_option_says_what_becomes_of_it(line: str, code: str, severity: str) -> None:
    assert said(f"CMD a\n{line}\n") == [(severity, code, 2)]


def test_every_rule_says_what_to_do() -> None:
    assert all(rule.says and bool(rule.field) == (rule.meaning is Meaning.SPEC) for rule in TABLE.values())


def test_every_option_that_a_field_holds_is_read_and_no_other() -> None:
    assert {name for name, rule in TABLE.items() if rule.meaning is Meaning.SPEC} == {*READERS, *OPTIONS}
