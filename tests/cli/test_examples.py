"""Every command ends its help with lines that it takes, and says what its exit statuses mean."""

import shlex

import pytest
import typer

from reconciler.cli.examples import EXAMPLES
from reconciler.cli.main import _app, main


def every_command():
    def walk(words, command):
        inner = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(words), command
        for name, one in (inner or {}).items():
            yield from walk((*words, name), one)

    return dict(walk((), typer.main.get_command(_app([]))))


COMMANDS = every_command()


def test_every_command_has_examples_and_each_is_of_a_command():
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_says_what_its_exit_statuses_mean(words):
    assert "Exit status:" in " ".join((COMMANDS[words].help or "").split())


@pytest.mark.parametrize(("words", "line"), [(words, line) for words in EXAMPLES for line in EXAMPLES[words]])
def test_an_example_is_a_line_that_its_command_takes(words, line):
    line = line.removeprefix('eval "$(').removesuffix(')"').partition(" > ")[0]
    typed = shlex.split(line)
    assert typed[0] == "reconcile" and typed[1 : 1 + len(words.split())] == words.split()
    with COMMANDS[words].make_context("reconcile", typed[1 + len(words.split()) :]):
        pass


def test_the_help_of_a_command_shows_its_examples_line_by_line(capsys):
    assert main(["destroy", "--help"]) == 0
    assert "Examples:\n    reconcile destroy web\n    reconcile destroy web/uploads\n" in capsys.readouterr().out
