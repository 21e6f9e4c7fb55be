"""Every diagnostic has a page, and every page is of a diagnostic."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from reconciler.cli import pages
from reconciler.cli.main import main

SOURCE = Path(__file__).parents[2] / "reconciler"
POSITION = {"Diagnostic": 0, "Failure": 0, "Note": 1, "_note": 1}
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@cache
def trees():
    return [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")]


@cache
def made():
    """Codes that stand in the calls that make diagnostics and notes."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            at = POSITION.get(name)
            if at is not None and len(node.args) > at and isinstance(node.args[at], ast.Constant):
                found.add(node.args[at].value)
    return found


@cache
def words():
    """Every string of the source that could be a code: some are handed on before a diagnostic is made."""
    texts = (node.value for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}


def test_every_code_that_is_used_has_a_page():
    assert sorted(made() - set(pages.codes())) == []


def test_every_page_is_of_a_code_that_is_used():
    assert sorted(set(pages.codes()) - words()) == []


@pytest.mark.parametrize("code", pages.codes())
def test_a_page_says_what_it_is_why_and_what_to_do(code):
    title, summary, why, *rest = pages.page(code).split("\n\n")
    assert title == f"# {code}"
    assert summary.endswith(".")
    assert len(why) > 20
    assert rest[0] == "## What to do"
    assert len(rest[1]) > 10


def test_explain_prints_a_page(capsys):
    assert main(["explain", "plan-stale"]) == 0
    assert capsys.readouterr().out == pages.page("plan-stale")


def test_explain_of_nothing_lists_all_codes(capsys):
    assert main(["explain"]) == 0
    assert capsys.readouterr().out.split() == pages.codes()
