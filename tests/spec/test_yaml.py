"""YAML text to values and places; nothing that a file holds can do harm."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.spec.yaml import MAX_DEPTH, parse, places

BOTH = pytest.mark.parametrize("pure", [False, True], ids=["c", "python"])


@BOTH
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("0750", "0750"),
        ("0o750", "0o750"),
        ("750", 750),
        ("0x1f", 31),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.28.1", "1.28.1"),
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("9" * 5000, "9" * 5000),
        ("<<", "<<"),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says(text, value, pure):
    parsed = parse(f"a: {text}\n".encode(), "f", pure=pure)
    assert parsed.diagnostics == ()
    assert parsed.values == ({"a": value},)


@BOTH
def test_keys_are_the_users_own_words(pure):
    assert parse(b"on: 1\n80: 2\n~: 3\n", "f", pure=pure).values == ({"on": 1, "80": 2, "~": 3},)


@BOTH
def test_every_node_has_its_place(pure):
    text = b"# first\nkind: Jail\nlist:\n  - a\n  - {b: [c, d]}\n---\nname: \xc3\xa9 # second\n"
    first, second = places(text, "f", pure=pure)
    assert first.keys["list"] == (3, 1)
    inner = first.children["list"].children[1]
    assert (inner.line, inner.column) == (5, 5)
    assert inner.keys["b"] == (5, 6)
    assert (inner.children["b"].children[1].line, inner.children["b"].children[1].column) == (5, 13)
    assert (second.children["name"].line, second.children["name"].column) == (7, 7)


@BOTH
def test_documents_after_a_broken_one_are_read(pure):
    parsed = parse(b"a: [\n---\nb: 1\n---\nc: 'x\n---\nd: 2\n", "f", pure=pure)
    assert parsed.values == ({"b": 1}, {"d": 2})
    assert [(problem.code, problem.span.line) for problem in parsed.diagnostics] == [
        ("yaml-syntax", 2),
        ("yaml-syntax", 6),
    ]
    assert not parsed.complete


@BOTH
def test_values_and_places_count_the_same_documents(pure):
    text = b"--- \n--- a\n---\nb: 1\n...\n---\n"
    assert len(parse(text, "f", pure=pure).values) == len(places(text, "f", pure=pure)) == 2


@pytest.mark.parametrize("encoded", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoded):
    parsed = parse("name: é\n".encode(encoded), "f")
    assert [problem.code for problem in parsed.diagnostics] == ["yaml-encoding"]


def test_a_byte_order_mark_of_utf_8_is_fine():
    assert parse(b"\xef\xbb\xbfname: x\r\nb: y\r\n", "f").values == ({"name": "x", "b": "y"},)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[a, ", "- &x "])
def test_depth_is_bounded_before_it_costs_anything(opening):
    start = time.process_time()
    parsed = parse(opening.encode() * 1_000_000, "f")
    assert time.process_time() - start < 1
    assert [problem.code for problem in parsed.diagnostics] in (["yaml-too-deep"], ["yaml-syntax"])


def test_what_is_not_too_deep_is_read():
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f").diagnostics == ()


@pytest.mark.parametrize("width", [2, 10, 100])
def test_aliases_cannot_grow_without_bound(width):
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, 40)]
    assert [problem.code for problem in parse("\n".join(lines).encode(), "f").diagnostics] == ["yaml-bomb"]


def test_a_long_text_counts_each_time_an_alias_names_it():
    text = f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 100_000)}]"
    assert [problem.code for problem in parse(text.encode(), "f").diagnostics] == ["yaml-bomb"]


def test_a_small_alias_is_its_value():
    assert parse(b"a: &x {b: 1}\nc: *x\n", "f").values == ({"a": {"b": 1}, "c": {"b": 1}},)


WORDS = [
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\n",
    "  ",
    "\t",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "'",
    '"',
    "|\n",
    ">",
    "#",
    "? ",
]
MARKS = ["---\n", "...\n", "%YAML 1.2\n", "~", "\x00", "\x85", "\u2028", "\ufeff", "a", "é", "1e9", ".inf", "\\", "\r"]
NASTY = st.sampled_from(WORDS + MARKS)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(NASTY, max_size=40).map(lambda parts: "".join(parts).encode()), st.binary(max_size=200)))
def test_no_input_raises(data):
    parsed = parse(data, "f")
    assert all(problem.code and problem.span.line >= 1 and problem.span.column >= 1 for problem in parsed.diagnostics)
    assert len(places(data, "f")) == len(parsed.values)


@settings(max_examples=75, deadline=None)
@given(st.lists(NASTY, max_size=25).map("".join))
def test_no_input_raises_in_the_python_parser(text):
    parsed = parse(text.encode(), "f", pure=True)
    assert len(places(text.encode(), "f", pure=True)) == len(parsed.values)
