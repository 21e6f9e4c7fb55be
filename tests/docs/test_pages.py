"""Links lead somewhere, command lines in the pages are ones the tool takes, and codes that are named exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from reconciler.cli import pages
from reconciler.cli.main import _app, main, names

TOP = Path(__file__).parents[2]
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _id(path: Path) -> str:
    return str(path.relative_to(TOP))


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in _anchors(there)):
            broken.append(target)
    assert not broken


def _command_lines(page: Path) -> list[str]:
    """Lines of shell blocks that begin with `reconcile` (after a prompt or a path to it)."""
    found = []
    for language, block in FENCE.findall(page.read_text()):
        if language in ("", "sh", "console") and page.name != "commands.md":
            for line in block.replace("\\\n", " ").splitlines():
                match = re.match(r"(?:[$#] )?(?:\S*/)?(reconcile .*)", line)
                if match:
                    found.append(match[1])
    return found


CASES = [(page, line) for page in PAGES for line in _command_lines(page)]


@pytest.mark.parametrize(("page", "line"), CASES, ids=[f"{_id(page)}: {line}" for page, line in CASES])
def test_a_command_line_in_a_page_is_one_that_the_tool_takes(page, line):
    words = shlex.split(line, comments=True)[1:]
    if words[:1] in (["--version"], ["--help"]):
        return
    assert words[0] in names(), line
    command = typer.main.get_command(_app(words))
    found = command
    while hasattr(found, "commands"):
        found, words = found.commands[words[0]], words[1:]
    with found.make_context("reconcile", [w for w in words if w != "--help"]):
        pass


def _blocks(text: str) -> list[str]:
    return [block for language, block in FENCE.findall(text) if language == "yaml"]


def test_the_specs_in_the_pages_are_valid(tmp_path):
    (jail,) = _blocks((TOP / "README.md").read_text())
    hosts = _blocks((TOP / "docs/operations.md").read_text().replace("\n   ", "\n"))  # one stands in a list
    assert len(hosts) == 2
    for host in hosts:
        (tmp_path / "specs.yaml").write_text(f"{host}---\n{jail}")
        assert main(["validate", str(tmp_path)]) == 0


def test_pages_name_only_codes_that_have_a_help_page():
    known = set(pages.codes())
    for page in PAGES:
        named = set(re.findall(r"\[`([a-z]+(?:-[a-z]+)+)`\]\(\S*explain/", page.read_text()))
        assert named <= known, page
