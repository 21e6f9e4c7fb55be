"""A script is cut only where nothing is open, and held together where a cut could lose something."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.makejail.blocks import Blocks

OPEN = [
    "if true; then",
    "if true",
    "if true; then a; else",
    "for x in a b; do",
    "for x do",
    "while read x",
    "until false; do echo a",
    "case $x in",
    "case $x in a) b",
    "case $x in a|b) c ;;",
    "{",
    "(",
    "f() {",
    "f()",
    "f ( )",
    "a &&",
    "a ||",
    "a |",
    "echo 'a",
    'echo "a',
    'echo "$(a',
    "x=$(",
    "x=`a",
    "x=${y:-",
    "x=$((1 +",
    "cat <<EOF",
    "cat <<'E O'",
    "cat <<-EOF\n\ttext",
    "cat <<A <<B\nA",
    "cat <<\\EOF\n$(",
    "echo a \\",
    'echo "$(if a; then',
    "x=$(case a in",
    "echo $'it\\'s",
]
CLOSED = [
    "",
    "# if",
    "echo if then fi",
    "echo 'if' \"case\" \\{",
    "if a; then b; fi",
    "if a\nthen b\nelif c; then d\nelse e\nfi",
    "if { a; } then b; fi",
    "for x in a do b; do c; done",
    "for x do c; done",
    "while a; do b; done < file > log",
    "case $x in a) b ;; (c|d) e ;; *) ;; esac",
    "case $x in\na)\n  if b; then c; fi\n  ;;\nesac",
    "case $x in esac",
    "x=$(case a in a) b;; esac)",
    "{ a; b; } > log 2>&1",
    "(a; b)",
    "a && b || c",
    "a |\nb",
    "a &&\n\nb",
    'echo "a $(b "c)" `d` ${e:-")"}) f"',
    "x=$((1 + (2 << 3)))",
    "x=${y#\\}}",
    "cat <<EOF\nif\nEOF",
    "cat <<'E O'\n$( '\nE O",
    "cat <<-EOF\n\tif\n\tEOF",
    "cat <<A <<B\nif\nA\ncase\nB",
    "echo a \\\nb",
    "echo a # it's",
    "echo a#'b'",
    "x=a y=b",
    '[ -n "$x" ] || exit 1',
    "echo $#",
    "f() { a; }",
    "f () (\na\n)",
    "test a -lt 3; echo >&2 b",
]
HELD = [
    "eval x=1",
    ". ./file",
    "exec 3>file",
    "trap 'a' EXIT",
    "command . ./file",
    "a & b",
    "alias a=b",
    "if a; then f() { b; }; fi",
    "exit 0",
    "exit",
    "exit $x",
    "$run a",
    "fi",
    ")",
    "unset -f f",
    "set -m",
    "f() { a; } > log",
    "if a; done",
]


def blocks(text: str) -> Blocks:
    """Read a script."""
    found = Blocks()
    found.feed(text)
    return found


@pytest.mark.parametrize("text", OPEN)
def test_an_open_block_stays_open(text: str) -> None:
    assert not blocks(text).closed


@pytest.mark.parametrize("text", CLOSED)
def test_a_whole_command_is_closed(text: str) -> None:
    assert blocks(text).closed


@pytest.mark.parametrize("text", HELD)
def test_what_a_later_script_cannot_get_back_holds_the_script_together(text: str) -> None:
    found = blocks(text)
    found.feed("echo after")
    assert found.held and not found.closed


def test_function_definitions_are_found_word_for_word() -> None:
    found = blocks("a; f() { b; }; g ( ) (\n c\n)\nh()\n{\n  x='}'\n}")
    texts = [found.text[start:end] for start, end in found.functions]
    assert texts == ["f() { b; }", "g ( ) (\n c\n)", "h()\n{\n  x='}'\n}"]


WORDS = (
    "if true; then fi else elif for x in a do done while case esac ) ;; { } ( ' \" \\ $( ` ${ <<E E && || | ; f() x=1"
)
PIECES = st.sampled_from([*WORDS.split(" "), "\n", "# c"])


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=9))
def test_whatever_is_called_closed_is_a_whole_script_for_sh(pieces: list[str]) -> None:
    text = " ".join(pieces)
    if not blocks(text).closed:
        return
    marker = f"{text}\necho after\n"
    done = subprocess.run(["/bin/sh", "-n"], input=marker, text=True, capture_output=True, check=False)
    broken = ("Unterminated", "end of file", "EOF")
    assert not any(word in done.stderr for word in broken), (text, done.stderr)
