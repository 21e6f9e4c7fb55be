"""Text on terminals and elsewhere; questions on terminals only."""

import io
import os
import sys

import pytest

from reconciler.cli.asking import type_the_name
from reconciler.cli.encoding import never_refuse
from reconciler.cli.paper import Paper, paper, size, table
from reconciler.model.diagnostic import Refused


@pytest.fixture
def terminal():
    """Both ends of a terminal: what the person types at, and the stream that a program has."""
    person, program = os.openpty()
    with open(program, "r+b", buffering=0) as raw, open(program, closefd=False) as stream:
        yield person, stream, raw
    os.close(person)


def test_colour_is_for_terminals_and_not_where_no_color_is_set(terminal):
    _, stream, _ = terminal
    assert paper(stream, {"TERM": "xterm"}).color
    assert not paper(stream, {"TERM": "xterm", "NO_COLOR": "1"}).color
    assert not paper(stream, {"TERM": "dumb"}).color


def test_a_file_is_100_columns_without_colour(tmp_path):
    with open(tmp_path / "out", "w") as stream:
        assert paper(stream, {"TERM": "xterm"}) == Paper(100, color=False)


def test_two_columns_line_up_where_they_fit():
    on = Paper(100)
    assert on.row("  + a", "x.yaml:1").index("x.yaml") == on.row("  + longer", "x.yaml:2").index("x.yaml") == 60
    assert on.row("l" * 80, "x.yaml:1") == "l" * 80 + "  x.yaml:1"


def test_nothing_printed_can_steer_a_terminal():
    assert Paper(80, color=True).ink("a\x1b[2Jb", "red") == "\x1b[31ma\\x1b[2Jb\x1b[0m"
    assert table([["a\nb", "c"]]) == ["a\\nb  c"]


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2 * 10**12, "2.0 TB")])
def test_sizes_read_well(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("typed", "confirmed"), [("web", True), ("wbe", False), ("", False)])
def test_the_name_has_to_be_typed(terminal, monkeypatch, typed, confirmed):
    person, stream, _ = terminal
    monkeypatch.setattr(sys, "stdin", stream)
    os.write(person, f"{typed}\n".encode())
    if confirmed:
        type_the_name("web", yes=False)
    else:
        with pytest.raises(Refused, match="not-confirmed"):
            type_the_name("web", yes=False)


@pytest.mark.parametrize(("encoding", "shown"), [("iso8859-1", "-> \xe4 \\u0107"), ("ascii", "-> \\xe4 \\u0107")])
def test_a_locale_without_arrows_reads_plain_ones(encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    never_refuse(stream)
    stream.write("\u2192 \xe4 \u0107")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == shown


def test_a_file_name_that_is_no_text_can_be_told():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    never_refuse(stream)
    stream.write("specs/\udcff.yaml \u2192")
    stream.flush()
    assert stream.buffer.getvalue() == "specs/\\udcff.yaml \u2192".encode()
