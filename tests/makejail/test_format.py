"""Formatting changes how a Makejail looks and never what it says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.makejail.format import format_text
from reconciler.makejail.lines import logical_lines

from .cases import cases

PIECES = [
    "CMD a",
    "RAW if x",
    "STAGE start",
    " ",
    "  ",
    "\t",
    "\\",
    "\\\\",
    "# c",
    "#",
    "\n",
    "\n",
    "\n",
    "\r",
    "\v",
    "é",
]


def said(text: str) -> tuple[list[str], bool]:
    """The logical lines, and whether the end is lost."""
    found = logical_lines(text, "Makejail")
    return [line.text for line in found.lines], found.lost is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  CMD a\n", "CMD a\n"),
        ("\n\nCMD a\n\n\n\nCMD b\n\n", "CMD a\n\nCMD b\n"),
        ("CMD a \\\nb \\\n\t# why\n\n  c\n", "CMD a \\\n    b \\\n    # why\n    c\n"),
        ("  # comment  \r\nCMD a\r\n", "# comment\nCMD a\n"),
        ("RAW   kept inside\nOPTION a=b  \n", "RAW   kept inside\nOPTION a=b  \n"),
        ("CMD a \\  \nb\n", "CMD a \\\n    b\n"),
        ("CMD a\n  lost", "CMD a\n  lost"),
    ],
)
def test_spacing_is_even_and_comments_stay(before: str, after: str) -> None:
    assert format_text(before) == after


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)))
def test_the_meaning_stays_and_a_second_time_changes_nothing(text: str) -> None:
    once = format_text(text)
    assert said(once) == said(text)
    assert format_text(once) == once


@pytest.mark.parametrize("case", cases("lines")[::5])
def test_observed_texts_keep_their_logical_lines(case: dict[str, str]) -> None:
    assert said(format_text(case["input"]))[0] == case["logical"]
